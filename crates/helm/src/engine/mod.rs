//! Rendering: Helm's scope objects and template set around `gotmpl`.
