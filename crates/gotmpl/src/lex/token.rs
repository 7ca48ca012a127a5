//! What the lexer produces.

/// A range of bytes of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The bytes from `start` up to `end`. The parser refuses sources of 4 GiB before any span is made.
    #[expect(clippy::cast_possible_truncation, reason = "no offset is 4 GiB or more")]
    pub(crate) fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    /// Where it starts, in half the space of an offset.
    pub(crate) fn position(self) -> Position {
        Position(self.start)
    }

    pub(crate) fn start(self) -> usize {
        self.start as usize
    }

    pub(crate) fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// The bytes of `source` it covers.
    pub(crate) fn of(self, source: &[u8]) -> &[u8] {
        &source[self.start as usize..self.end as usize]
    }

    /// Without its first byte.
    pub(crate) fn skip_first(self) -> Self {
        Self { start: (self.start + 1).min(self.end), end: self.end }
    }
}

/// An offset into the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position(u32);

impl Position {
    pub(crate) fn offset(self) -> usize {
        self.0 as usize
    }
}

/// One token of a template.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    /// Whether white space stands before it, which is what separates the words of a command.
    pub(crate) spaced: bool,
    pub(crate) span: Span,
}

/// What kind of token it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Error,
    Eof,
    Text,
    LeftDelim,
    RightDelim,
    LeftParen,
    RightParen,
    Pipe,
    Assign,
    Declare,
    /// Any other printable ASCII character, such as a comma.
    Char,
    Bool,
    Number,
    Complex,
    CharConstant,
    String,
    RawString,
    /// `.Name`, or several in a row: `.a.b.c`
    Field,
    /// `$` or `$name`
    Variable,
    /// The name of a function.
    Identifier,
    Dot,
    Nil,
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Range,
    Template,
    With,
}

impl Kind {
    /// What a bare word is.
    pub(crate) fn of_word(word: &[u8]) -> Self {
        match word {
            b"block" => Self::Block,
            b"break" => Self::Break,
            b"continue" => Self::Continue,
            b"define" => Self::Define,
            b"else" => Self::Else,
            b"end" => Self::End,
            b"if" => Self::If,
            b"nil" => Self::Nil,
            b"range" => Self::Range,
            b"template" => Self::Template,
            b"with" => Self::With,
            b"true" | b"false" => Self::Bool,
            _ => Self::Identifier,
        }
    }

    /// Whether an operand begins with it.
    pub(crate) fn is_term(self) -> bool {
        matches!(
            self,
            Self::Bool
                | Self::CharConstant
                | Self::Complex
                | Self::Dot
                | Self::Field
                | Self::Identifier
                | Self::LeftParen
                | Self::Nil
                | Self::Number
                | Self::RawString
                | Self::String
                | Self::Variable
        )
    }

    /// Whether it is printed like `<if>` in error messages.
    pub(crate) fn is_keyword(self) -> bool {
        matches!(
            self,
            Self::Dot
                | Self::Nil
                | Self::Block
                | Self::Break
                | Self::Continue
                | Self::Define
                | Self::Else
                | Self::End
                | Self::If
                | Self::Range
                | Self::Template
                | Self::With
        )
    }
}
