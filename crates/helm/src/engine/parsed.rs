//! The templates of a chart, parsed once and kept for many renders.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use gotmpl::{ParseError, ParsedFile, TemplateSet};

use super::scope::ScopedTemplates;
use super::{Error, functions};
use crate::chart::Chart;

/// The name Helm gives to the set of a chart's templates; texts given to `tpl` are parsed under it.
const SET_NAME: &str = "gotpl";

/// How many tokens all templates of a release may have: ten times the largest public charts'. Their trees take 100 MiB.
const MAX_TOKENS: usize = 1_000_000;

/// A parsed template takes about this many bytes per byte of its text.
const MEMORY_FACTOR: usize = 10;

/// Parsed templates of one chart, to be kept beside it. Shared between threads, it fills as renders need templates.
///
/// Which templates a render needs, and under which names, depends on its values (dependencies may be disabled or
/// aliased); so every file is parsed when it is first needed.
#[derive(Default)]
pub struct ParsedTemplates {
    files: Mutex<BTreeMap<String, CachedFile>>,
    text_bytes: usize,
}

#[derive(Clone)]
struct CachedFile {
    /// The text that was parsed: a file of the same name in another chart is not the same.
    source: Arc<[u8]>,
    parsed: Result<Arc<ParsedFile>, ParseError>,
}

impl ParsedTemplates {
    /// An empty store for the templates of `chart`.
    pub fn new(chart: &Chart) -> Self {
        Self { files: Mutex::default(), text_bytes: template_bytes(chart) }
    }

    /// About how many bytes of memory it takes once all templates are parsed.
    pub fn memory(&self) -> usize {
        self.text_bytes * MEMORY_FACTOR
    }

    /// The set of all `templates`; later ones in `order` win over earlier ones.
    pub(super) fn set(&self, templates: &ScopedTemplates, order: &[&str]) -> Result<TemplateSet, Error> {
        let mut set = TemplateSet::new(SET_NAME);
        let mut tokens = 0;
        for name in order {
            let file = self.file(name, &templates[*name].source).map_err(Error::Parse)?;
            tokens += file.tokens();
            if tokens > MAX_TOKENS {
                return Err(Error::TemplatesTooLarge { tokens: MAX_TOKENS });
            }
            set.add(&file);
        }
        Ok(set)
    }

    fn file(&self, name: &str, source: &Arc<[u8]>) -> Result<Arc<ParsedFile>, ParseError> {
        if let Some(cached) = self.lock().get(name)
            && Arc::ptr_eq(&cached.source, source)
        {
            return cached.parsed.clone();
        }
        // Parsed without the lock: two renders may do it at the same time, with the same result.
        let parsed = ParsedFile::parse(name, source, functions::all().names()).map(Arc::new);
        let cached = CachedFile { source: Arc::clone(source), parsed: parsed.clone() };
        self.lock().insert(name.to_owned(), cached);
        parsed
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, CachedFile>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn template_bytes(chart: &Chart) -> usize {
    let own: usize = chart.templates.iter().map(|file| file.data.len()).sum();
    own + chart.dependencies.iter().map(template_bytes).sum::<usize>()
}
