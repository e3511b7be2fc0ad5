"""Reports: one result object, many renderers (phase 7, documentation; ``docs/audit-playbook.md``).

``schema.py`` holds the published contract of the result, ``view.py`` the sentences and rows that all reports share,
``text.py`` how numbers become words, ``charts.py`` server-side SVG, ``renderers/`` one format per module.
"""
