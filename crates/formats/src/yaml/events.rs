//! Third step of reading: tokens to events, which is YAML's grammar.
//!
//! Events describe a document as a walk over its nodes. They borrow their texts from the source, so a
//! reader that looks for a few keys only can pass over the rest without building anything.
//! Nesting costs heap, never stack.

use std::borrow::Cow;

use super::error::Error;
use super::scan::{Scanner, TokenKind};
use super::source::Source;

/// One step of the walk, and the line its node starts on, counted from zero.
#[derive(Debug)]
pub(crate) struct Event<'a> {
    pub(crate) kind: EventKind<'a>,
    pub(crate) line: usize,
}

/// The steps of the walk.
#[derive(Debug)]
pub(crate) enum EventKind<'a> {
    /// A document begins.
    DocumentStart,
    /// A document ends.
    DocumentEnd,
    /// There is nothing more.
    StreamEnd,
    /// `*name`
    Alias(&'a str),
    /// A scalar, still unresolved.
    Scalar {
        /// Its anchor and tag.
        properties: Properties<'a>,
        /// Its text.
        value: Cow<'a, str>,
        /// Whether its text decides about its type: it is plain and untagged, or tagged `!`.
        implicit: bool,
    },
    /// A sequence begins.
    SequenceStart(Properties<'a>),
    /// A sequence ends.
    SequenceEnd,
    /// A mapping begins: keys and values follow in turn.
    MappingStart(Properties<'a>),
    /// A mapping ends.
    MappingEnd,
}

/// What may stand before a node.
#[derive(Debug, Default)]
pub(crate) struct Properties<'a> {
    /// `&name`
    pub(crate) anchor: Option<&'a str>,
    /// The tag in its long form.
    pub(crate) tag: Option<String>,
}

/// Where in the grammar the reader is.
#[derive(Debug, Clone, Copy)]
enum State {
    /// Before a document; only the first may begin without `---`.
    DocumentStart {
        first: bool,
    },
    DocumentContent,
    DocumentEnd,
    BlockNode,
    BlockSequenceEntry,
    /// In a sequence that is not further in than its mapping key.
    IndentlessEntry,
    BlockMappingKey,
    BlockMappingValue,
    FlowSequenceEntry {
        first: bool,
    },
    /// In a mapping of one pair, written without braces in a flow sequence.
    FlowPairKey,
    FlowPairValue,
    FlowPairEnd,
    FlowMappingKey {
        first: bool,
    },
    FlowMappingValue {
        empty: bool,
    },
    End,
}

/// Reads events, one at a time.
pub(crate) struct Events<'a> {
    scanner: Scanner<'a>,
    state: State,
    /// Where to go on after the current node.
    states: Vec<State>,
    tag_directives: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Events<'a> {
    /// The events of a stream.
    pub(crate) fn new(source: &'a Source<'_>) -> Self {
        Self {
            scanner: Scanner::new(source),
            state: State::DocumentStart { first: true },
            states: Vec::new(),
            tag_directives: Vec::new(),
        }
    }

    /// The next event; `StreamEnd` for ever once the stream has ended.
    pub(crate) fn next(&mut self) -> Result<Event<'a>, Error> {
        match self.state {
            State::DocumentStart { first } => self.document_start(first),
            State::DocumentContent => self.document_content(),
            State::DocumentEnd => self.document_end(),
            State::BlockNode => self.node(true, false),
            State::BlockSequenceEntry => self.block_sequence_entry(),
            State::IndentlessEntry => self.indentless_entry(),
            State::BlockMappingKey => self.block_mapping_key(),
            State::BlockMappingValue => self.block_mapping_value(),
            State::FlowSequenceEntry { first } => self.flow_sequence_entry(first),
            State::FlowPairKey => self.flow_pair_key(),
            State::FlowPairValue => self.flow_pair_value(),
            State::FlowPairEnd => self.flow_pair_end(),
            State::FlowMappingKey { first } => self.flow_mapping_key(first),
            State::FlowMappingValue { empty } => self.flow_mapping_value(empty),
            State::End => Ok(Event { kind: EventKind::StreamEnd, line: 0 }),
        }
    }

    // --- small steps ---

    fn peek(&mut self) -> Result<(&TokenKind<'a>, usize), Error> {
        let token = self.scanner.peek()?;
        Ok((&token.kind, token.line))
    }

    /// Takes the next token for its place alone.
    fn skip(&mut self) -> Result<usize, Error> {
        Ok(self.scanner.next()?.line)
    }

    fn error<T>(problem: &str, line: usize) -> Result<T, Error> {
        Err(Error::syntax(problem, line))
    }

    fn leave(&mut self) {
        self.state = self.states.pop().unwrap_or(State::End);
    }

    /// Ends a collection.
    fn end(&mut self, kind: EventKind<'a>) -> Result<Event<'a>, Error> {
        self.leave();
        Ok(Event { kind, line: self.skip()? })
    }

    /// A node that is not there.
    fn empty(&mut self, line: usize, next: State) -> Event<'a> {
        self.state = next;
        Event {
            kind: EventKind::Scalar { properties: Properties::default(), value: Cow::Borrowed(""), implicit: true },
            line,
        }
    }

    /// A node, after which the reader goes on with `next`.
    fn child(&mut self, next: State, block: bool, indentless: bool) -> Result<Event<'a>, Error> {
        self.states.push(next);
        self.node(block, indentless)
    }

    // --- documents ---

    fn document_start(&mut self, first: bool) -> Result<Event<'a>, Error> {
        if !first {
            while matches!(self.peek()?.0, TokenKind::DocumentEnd) {
                self.skip()?;
            }
        }
        let (kind, line) = self.peek()?;
        let explicit = matches!(kind, TokenKind::Version(..) | TokenKind::TagDirective(..) | TokenKind::DocumentStart);
        if matches!(kind, TokenKind::StreamEnd) {
            self.state = State::End;
            return Ok(Event { kind: EventKind::StreamEnd, line: self.skip()? });
        }
        self.directives()?;
        self.state = State::BlockNode;
        if explicit || !first {
            let (kind, line) = self.peek()?;
            if !matches!(kind, TokenKind::DocumentStart) {
                return Self::error("did not find expected <document start>", line);
            }
            self.skip()?;
            self.state = State::DocumentContent;
        }
        self.states.push(State::DocumentEnd);
        Ok(Event { kind: EventKind::DocumentStart, line })
    }

    fn directives(&mut self) -> Result<(), Error> {
        let mut versioned = false;
        loop {
            match self.peek()? {
                (TokenKind::Version(..), line) if versioned => {
                    return Self::error("found duplicate %YAML directive", line);
                }
                (TokenKind::Version(1, 1), _) => versioned = true,
                (TokenKind::Version(..), line) => {
                    return Self::error("found incompatible YAML document", line);
                }
                (TokenKind::TagDirective(handle, prefix), line) => {
                    let directive = (handle.clone(), prefix.clone());
                    if self.tag_directives.iter().any(|(known, _)| *known == directive.0) {
                        return Self::error("found duplicate %TAG directive", line);
                    }
                    self.tag_directives.push(directive);
                }
                _ => break,
            }
            self.skip()?;
        }
        for (handle, prefix) in [("!", "!"), ("!!", "tag:yaml.org,2002:")] {
            if !self.tag_directives.iter().any(|(known, _)| known == handle) {
                self.tag_directives.push((handle.into(), prefix.into()));
            }
        }
        Ok(())
    }

    fn document_content(&mut self) -> Result<Event<'a>, Error> {
        match self.peek()? {
            (
                TokenKind::Version(..)
                | TokenKind::TagDirective(..)
                | TokenKind::DocumentStart
                | TokenKind::DocumentEnd
                | TokenKind::StreamEnd,
                line,
            ) => {
                self.leave();
                Ok(self.empty(line, self.state))
            }
            _ => self.node(true, false),
        }
    }

    fn document_end(&mut self) -> Result<Event<'a>, Error> {
        let (kind, line) = self.peek()?;
        if matches!(kind, TokenKind::DocumentEnd) {
            self.skip()?;
        }
        self.tag_directives.clear();
        self.state = State::DocumentStart { first: false };
        Ok(Event { kind: EventKind::DocumentEnd, line })
    }

    // --- nodes ---

    fn node(&mut self, block: bool, indentless: bool) -> Result<Event<'a>, Error> {
        let (kind, line) = self.peek()?;
        if let TokenKind::Alias(name) = *kind {
            self.skip()?;
            self.leave();
            return Ok(Event { kind: EventKind::Alias(name), line });
        }
        if let TokenKind::Scalar { plain, .. } = *kind {
            return self.scalar(Properties::default(), plain, line);
        }
        let properties = self.properties()?;
        let implicit = properties.tag.as_deref().is_none_or(|tag| tag == "!");
        let (token, token_line) = self.peek()?;
        let (state, sequence) = match token {
            TokenKind::BlockEntry if indentless => {
                self.state = State::IndentlessEntry;
                return Ok(Event { kind: EventKind::SequenceStart(properties), line });
            }
            TokenKind::Scalar { plain, .. } => {
                let implicit = implicit && (*plain || properties.tag.is_some());
                return self.scalar(properties, implicit, line);
            }
            TokenKind::FlowSequenceStart => (State::FlowSequenceEntry { first: true }, true),
            TokenKind::FlowMappingStart => (State::FlowMappingKey { first: true }, false),
            TokenKind::BlockSequenceStart if block => (State::BlockSequenceEntry, true),
            TokenKind::BlockMappingStart if block => (State::BlockMappingKey, false),
            _ if properties.anchor.is_some() || properties.tag.is_some() => {
                let implicit = properties.tag.is_none();
                self.leave();
                let kind = EventKind::Scalar { properties, value: Cow::Borrowed(""), implicit };
                return Ok(Event { kind, line });
            }
            _ => return Self::error("did not find expected node content", token_line),
        };
        self.skip()?;
        self.state = state;
        let kind = if sequence { EventKind::SequenceStart(properties) } else { EventKind::MappingStart(properties) };
        Ok(Event { kind, line })
    }

    fn scalar(&mut self, properties: Properties<'a>, implicit: bool, line: usize) -> Result<Event<'a>, Error> {
        self.leave();
        let value = match self.scanner.next()?.kind {
            TokenKind::Scalar { value, .. } => value,
            _ => Cow::Borrowed(""),
        };
        Ok(Event { kind: EventKind::Scalar { properties, value, implicit }, line })
    }

    /// Reads an anchor and a tag, in either order.
    fn properties(&mut self) -> Result<Properties<'a>, Error> {
        let mut properties = Properties::default();
        let mut tag = None;
        loop {
            match self.peek()? {
                (TokenKind::Anchor(name), _) if properties.anchor.is_none() => {
                    properties.anchor = Some(*name);
                }
                (TokenKind::Tag(handle, suffix), line) if tag.is_none() => {
                    tag = Some((handle.clone(), suffix.clone(), line));
                }
                _ => break,
            }
            self.skip()?;
        }
        if let Some((handle, suffix, line)) = tag {
            properties.tag = Some(self.long_tag(&handle, &suffix, line)?);
        }
        Ok(properties)
    }

    fn long_tag(&self, handle: &str, suffix: &str, line: usize) -> Result<String, Error> {
        if handle.is_empty() {
            return Ok(suffix.to_owned());
        }
        match self.tag_directives.iter().find(|(known, _)| known == handle) {
            Some((_, prefix)) => Ok(format!("{prefix}{suffix}")),
            None => Self::error("found undefined tag handle", line),
        }
    }

    // --- block collections ---

    fn block_sequence_entry(&mut self) -> Result<Event<'a>, Error> {
        match self.peek()? {
            (TokenKind::BlockEntry, _) => {
                let line = self.skip()?;
                match self.peek()?.0 {
                    TokenKind::BlockEntry | TokenKind::BlockEnd => Ok(self.empty(line, State::BlockSequenceEntry)),
                    _ => self.child(State::BlockSequenceEntry, true, false),
                }
            }
            (TokenKind::BlockEnd, _) => self.end(EventKind::SequenceEnd),
            (_, line) => Self::error("did not find expected '-' indicator", line),
        }
    }

    fn indentless_entry(&mut self) -> Result<Event<'a>, Error> {
        let (kind, line) = self.peek()?;
        if !matches!(kind, TokenKind::BlockEntry) {
            self.leave();
            return Ok(Event { kind: EventKind::SequenceEnd, line });
        }
        self.skip()?;
        match self.peek()?.0 {
            TokenKind::BlockEntry | TokenKind::Key | TokenKind::Value | TokenKind::BlockEnd => {
                Ok(self.empty(line, State::IndentlessEntry))
            }
            _ => self.child(State::IndentlessEntry, true, false),
        }
    }

    fn block_mapping_key(&mut self) -> Result<Event<'a>, Error> {
        match self.peek()? {
            (TokenKind::Key, line) => {
                self.skip()?;
                self.block_mapping_part(line, State::BlockMappingValue)
            }
            (TokenKind::BlockEnd, _) => self.end(EventKind::MappingEnd),
            (_, line) => Self::error("did not find expected key", line),
        }
    }

    fn block_mapping_value(&mut self) -> Result<Event<'a>, Error> {
        let (kind, line) = self.peek()?;
        if !matches!(kind, TokenKind::Value) {
            return Ok(self.empty(line, State::BlockMappingKey));
        }
        self.skip()?;
        self.block_mapping_part(line, State::BlockMappingKey)
    }

    fn block_mapping_part(&mut self, line: usize, next: State) -> Result<Event<'a>, Error> {
        match self.peek()?.0 {
            TokenKind::Key | TokenKind::Value | TokenKind::BlockEnd => Ok(self.empty(line, next)),
            _ => self.child(next, true, true),
        }
    }

    // --- flow collections ---

    fn flow_sequence_entry(&mut self, first: bool) -> Result<Event<'a>, Error> {
        if !first && !matches!(self.peek()?.0, TokenKind::FlowSequenceEnd) {
            let (kind, line) = self.peek()?;
            if !matches!(kind, TokenKind::FlowEntry) {
                return Self::error("did not find expected ',' or ']'", line);
            }
            self.skip()?;
        }
        match self.peek()? {
            (TokenKind::Key, line) => {
                self.skip()?;
                self.state = State::FlowPairKey;
                Ok(Event { kind: EventKind::MappingStart(Properties::default()), line })
            }
            (TokenKind::FlowSequenceEnd, _) => self.end(EventKind::SequenceEnd),
            _ => self.child(State::FlowSequenceEntry { first: false }, false, false),
        }
    }

    fn flow_pair_key(&mut self) -> Result<Event<'a>, Error> {
        match self.peek()?.0 {
            TokenKind::Value | TokenKind::FlowEntry | TokenKind::FlowSequenceEnd => {
                // libyaml takes the token here, so that `[? : a]` has no value and `[? ]` no end.
                let line = self.skip()?;
                Ok(self.empty(line, State::FlowPairValue))
            }
            _ => self.child(State::FlowPairValue, false, false),
        }
    }

    fn flow_pair_value(&mut self) -> Result<Event<'a>, Error> {
        let (kind, line) = self.peek()?;
        if matches!(kind, TokenKind::Value) {
            self.skip()?;
            if !matches!(self.peek()?.0, TokenKind::FlowEntry | TokenKind::FlowSequenceEnd) {
                return self.child(State::FlowPairEnd, false, false);
            }
        }
        Ok(self.empty(line, State::FlowPairEnd))
    }

    fn flow_pair_end(&mut self) -> Result<Event<'a>, Error> {
        self.state = State::FlowSequenceEntry { first: false };
        Ok(Event { kind: EventKind::MappingEnd, line: self.peek()?.1 })
    }

    fn flow_mapping_key(&mut self, first: bool) -> Result<Event<'a>, Error> {
        if !first && !matches!(self.peek()?.0, TokenKind::FlowMappingEnd) {
            let (kind, line) = self.peek()?;
            if !matches!(kind, TokenKind::FlowEntry) {
                return Self::error("did not find expected ',' or '}'", line);
            }
            self.skip()?;
        }
        match self.peek()?.0 {
            TokenKind::Key => {
                self.skip()?;
                let (kind, line) = self.peek()?;
                match kind {
                    TokenKind::Value | TokenKind::FlowEntry | TokenKind::FlowMappingEnd => {
                        Ok(self.empty(line, State::FlowMappingValue { empty: false }))
                    }
                    _ => self.child(State::FlowMappingValue { empty: false }, false, false),
                }
            }
            TokenKind::FlowMappingEnd => self.end(EventKind::MappingEnd),
            _ => self.child(State::FlowMappingValue { empty: true }, false, false),
        }
    }

    fn flow_mapping_value(&mut self, empty: bool) -> Result<Event<'a>, Error> {
        let (kind, line) = self.peek()?;
        if !empty && matches!(kind, TokenKind::Value) {
            self.skip()?;
            if !matches!(self.peek()?.0, TokenKind::FlowEntry | TokenKind::FlowMappingEnd) {
                return self.child(State::FlowMappingKey { first: false }, false, false);
            }
        }
        Ok(self.empty(line, State::FlowMappingKey { first: false }))
    }
}
