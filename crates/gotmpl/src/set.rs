//! Named templates that can call each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ast::Template;
use crate::error::ParseError;
use crate::func::FunctionNames;
use crate::parse::{self, Parsed};
use crate::value::Str;

/// A set of parsed templates: `Send`, `Sync`, and cheap to clone.
///
/// Parsing into a clone leaves the original as it was: the new templates are laid over the shared ones.
/// So a parsed chart can be cached, and `tpl` can add definitions that are gone when it returns.
#[derive(Debug, Clone)]
pub struct TemplateSet {
    root: Str,
    layer: Arc<Layer>,
}

/// One parsed text: its own template and those it defines. Can be added to any number of sets.
#[derive(Debug, Clone)]
pub struct ParsedFile {
    main: Arc<Template>,
    all: Vec<Arc<Template>>,
    tokens: usize,
}

impl ParsedFile {
    /// How many tokens it consists of. It takes about a hundred bytes of memory for each.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Parses `text`, whose own template is called `name`, and keeps it.
    pub fn parse(name: impl Into<Str>, text: &Arc<[u8]>, functions: &FunctionNames) -> Result<Self, ParseError> {
        let Parsed { main, all, tokens } = parse::parse(&name.into(), text, functions)?;
        Ok(Self { main, all, tokens })
    }
}

#[derive(Debug, Default)]
struct Layer {
    below: Option<Arc<Self>>,
    templates: BTreeMap<Str, Arc<Template>>,
}

impl TemplateSet {
    /// An empty set. `root` is the name Go's `template.New` would be given; it only shows in one error.
    pub fn new(root: impl Into<Str>) -> Self {
        Self { root: root.into(), layer: Arc::default() }
    }

    /// Its name.
    pub fn root(&self) -> &Str {
        &self.root
    }

    /// Parses `text` and adds the templates it consists of: itself as `name`, and those it defines.
    ///
    /// The template of `text` itself is returned, even if it was not added; see [`TemplateSet::add`].
    pub fn parse(
        &mut self,
        name: impl Into<Str>,
        text: &[u8],
        functions: &FunctionNames,
    ) -> Result<Arc<Template>, ParseError> {
        let file = ParsedFile::parse(name, &text.into(), functions)?;
        self.add(&file);
        Ok(file.main)
    }

    /// Adds the templates of a file.
    ///
    /// A later template replaces an earlier one of the same name, unless there is nothing but white space
    /// and comments in it.
    pub fn add(&mut self, file: &ParsedFile) {
        for template in &file.all {
            if !template.is_empty() || self.get(template.name.as_bytes()).is_none() {
                self.own_layer().insert(template.name.clone(), Arc::clone(template));
            }
        }
    }

    /// The template of this name.
    pub fn get(&self, name: &[u8]) -> Option<&Arc<Template>> {
        let mut layer = Some(&self.layer);
        while let Some(current) = layer {
            if let Some(template) = current.templates.get(name) {
                return Some(template);
            }
            layer = current.below.as_ref();
        }
        None
    }

    /// Templates only this set sees; those it shares with its clones lie below.
    fn own_layer(&mut self) -> &mut BTreeMap<Str, Arc<Template>> {
        if Arc::get_mut(&mut self.layer).is_none() {
            self.layer = Arc::new(Layer { below: Some(Arc::clone(&self.layer)), templates: BTreeMap::new() });
        }
        &mut Arc::get_mut(&mut self.layer).expect("the layer was just made and is not shared").templates
    }
}
