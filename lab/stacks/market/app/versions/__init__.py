"""Other versions of the code, one a module: ``def apply(app, parameters)`` replaces a function or a value of the package `app`."""
