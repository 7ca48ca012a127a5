//! Values: parsing, coalescing, the values of dependencies.
