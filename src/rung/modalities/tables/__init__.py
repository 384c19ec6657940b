"""Tables: parsing, features, fitted models and their predictors."""
