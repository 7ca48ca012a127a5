//! Slash-separated paths, handled as text.
//!
//! Names inside a chart never touch a file system, so cleaning is lexical, as Go's `path` package does it.

/// The shortest equivalent of `path`: no empty, `.` or inner `..` elements; `.` if nothing is left.
pub(crate) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut elements: Vec<&str> = Vec::new();
    for element in path.split('/') {
        match element {
            "" | "." => {}
            ".." if elements.last().is_some_and(|last| *last != "..") => {
                elements.pop();
            }
            ".." if rooted => {}
            _ => elements.push(element),
        }
    }
    match (rooted, elements.is_empty()) {
        (true, _) => format!("/{}", elements.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => elements.join("/"),
    }
}

/// The last element of `path`; `.` for an empty path, `/` for a path of slashes.
pub(crate) fn base(path: &str) -> &str {
    if path.is_empty() {
        return ".";
    }
    match path.trim_end_matches('/') {
        "" => "/",
        trimmed => trimmed.rsplit('/').next().unwrap_or(trimmed),
    }
}

/// The suffix of the last element from its last dot on, or nothing.
pub(crate) fn ext(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rfind('.').map_or("", |dot| &name[dot..])
}

/// `parent/child`, cleaned.
pub(crate) fn join(parent: &str, child: &str) -> String {
    clean(&format!("{parent}/{child}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_does() {
        for (path, cleaned) in [
            ("", "."),
            ("a//b/./c", "a/b/c"),
            ("a/../../b", "../b"),
            ("/../a/", "/a"),
            ("a/b/..", "a"),
            ("..", ".."),
            ("../../x/../y", "../../y"),
        ] {
            assert_eq!(clean(path), cleaned, "{path:?}");
        }
    }

    #[test]
    fn parts_of_a_path() {
        assert_eq!((base("a/b.yaml"), base("a/"), base(""), base("//")), ("b.yaml", "a", ".", "/"));
        assert_eq!((ext("a.b/c.tar.gz"), ext("a.b/c")), (".gz", ""));
    }
}
