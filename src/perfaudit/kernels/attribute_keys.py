"""How the keys of attributes are read, for :mod:`perfaudit.kernels.attributes`. Light, so that readers need no compiler to say it."""

#: Not looked at yet; says nothing; says something alone; or beside others: a URL where there is no route, a port where there is a host, …
NEW, SKIPPED, WORD, URL, ROUTE, HOST, PORT, ADDRESS, ROLE, METHOD = range(10)
