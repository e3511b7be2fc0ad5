"""Other versions of the code, a module each: ``apply(app, parameters)`` replaces functions of the application's modules."""
