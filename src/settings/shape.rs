//! What a configuration may hold: the description that documents, the JSON Schema and generators are made of. Nothing in
//! the filter calls it, so it takes no room in the module.

use super::{Need, Setting, Value};

/// What a value may be.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// `true` or `false`.
    Flag,
    /// A number from 0 to 1.
    Probability,
    /// A number from 0 to a bound, which belongs to it.
    Number(u32),
    /// A whole number between two bounds, which belong to it.
    Whole(u32, u32),
    /// A text of a certain form.
    Text(Form),
    /// A word of a closed set.
    Words(Words),
    /// A list whose items are all of one shape.
    List(Box<Shape>),
    /// Texts by names that the operator chooses, except those listed here.
    Map(&'static [&'static str]),
    /// An object with these fields and no others.
    Object(Object),
    /// The same, or `null`.
    Nullable(Box<Shape>),
    /// One of these shapes, which are of different types.
    OneOf(Vec<Shape>),
}

/// The form of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// A title for a section of its own; empty for a form that needs no words.
    pub title: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// The form in the middle of a sentence: "a header name".
    pub expected: &'static str,
    /// A regular expression in the dialect of JSON Schema; empty if there is none.
    pub pattern: &'static str,
    /// The least number of characters.
    pub least: usize,
}

/// A closed set of words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// The name of the set.
    pub title: &'static str,
    /// Each word, and what it means.
    pub words: Vec<(&'static str, &'static str)>,
    /// Words of the set that are refused here.
    pub refused: Vec<&'static str>,
}

/// An object.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// A title for its section.
    pub title: &'static str,
    /// What it means.
    pub meaning: String,
    /// Its fields, in order.
    pub fields: Vec<Field>,
    /// Groups of fields, of which exactly one group is stated; empty if there is no such choice.
    pub forms: Vec<&'static [&'static str]>,
    /// What its fields must fulfil together.
    pub rules: Vec<Rule>,
}

/// A field of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub meaning: String,
    /// What it may hold.
    pub shape: Shape,
    /// Its value if the field is left out; `None` if the field is required.
    pub default: Option<Value>,
}

/// What several fields must fulfil together, as far as a JSON Schema can say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// There is at least one field.
    NotEmpty,
    /// The first field is not stated where the second has this word.
    Without(&'static str, &'static str, &'static str),
}

impl Form {
    /// Any text.
    pub const ANY: Self = Self { title: "", meaning: "", expected: "a text", pattern: "", least: 0 };
}

impl Words {
    /// The words that are accepted.
    pub fn accepted(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.words.iter().copied().filter(|(word, _)| !self.refused.contains(word))
    }
}

impl Object {
    pub(crate) fn new(title: &'static str, meaning: &[&str]) -> Self {
        let meaning = paragraph(meaning);
        Self { title, meaning, fields: Vec::new(), forms: Vec::new(), rules: Vec::new() }
    }

    /// Adds a field.
    pub(crate) fn add<T: Setting>(
        &mut self,
        name: &'static str,
        meaning: &[&str],
        need: Need,
        default: Option<T>,
    ) {
        let shape = if need == Need::OrNull { T::shape().or_null() } else { T::shape() };
        let default = default.map(|default| default.value());
        self.fields.push(Field { name, meaning: paragraph(meaning), shape, default });
    }

    /// Adds what a part of the object has.
    pub(crate) fn include(&mut self, part: Shape) {
        if let Shape::Object(part) = part {
            self.fields.extend(part.fields);
            self.forms.extend(part.forms);
            self.rules.extend(part.rules);
        }
    }

    /// Adds a field that may be left out, or be `null`, where another form of the object is stated.
    pub(crate) fn offer<T: Setting>(&mut self, name: &'static str, meaning: &[&str]) {
        self.add::<Option<T>>(name, meaning, Need::Optional, Some(None));
    }

    /// The same with all fields of an object; the first one has the meaning of the form.
    pub(crate) fn offer_all(&mut self, form: Shape, meaning: &[&str]) {
        let Shape::Object(form) = form else { return };
        for (place, field) in form.fields.into_iter().enumerate() {
            let meaning = if place == 0 { paragraph(meaning) } else { field.meaning };
            let (shape, default) = (field.shape.or_null(), Some(Value::Null));
            self.fields.push(Field { name: field.name, meaning, shape, default });
        }
    }

    /// The field of this name.
    pub fn field(&mut self, name: &str) -> Option<&mut Field> {
        self.fields.iter_mut().find(|field| field.name == name)
    }
}

impl Shape {
    /// The same shape, or `null`.
    #[must_use]
    pub fn or_null(self) -> Self {
        match self {
            Self::Nullable(_) => self,
            shape => Self::Nullable(Box::new(shape)),
        }
    }
}

/// The paragraph that a comment in the source is.
pub(crate) fn paragraph(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// The examples in a text: each piece of JSON between backticks after "such as".
#[must_use]
pub fn examples(text: &str) -> Vec<Value> {
    let Some((_, list)) = text.split_once("such as `").or_else(|| text.split_once("Such as `")) else {
        return Vec::new();
    };
    let spans = list.split('`').collect::<Vec<_>>();
    let mut examples = Vec::new();
    for pair in spans.chunks(2) {
        examples.extend(pair.first().and_then(|span| serde_json::from_str(span).ok()));
        // Only a list of them goes on.
        if !matches!(pair.get(1).map(|between| between.trim()), Some("," | "or" | ", or" | "and")) {
            break;
        }
    }
    examples
}
