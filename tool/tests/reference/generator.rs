//! Configurations at random, by the schema and from a seed.

use rand::rngs::ChaCha12Rng;
use rand::{Rng, SeedableRng};
use serde_json::{Map, Value, json};

use crate::SECRETS;
use crate::schema::{Node, Schema, Step};

pub(crate) struct Generator<'a> {
    schema: &'a Schema,
    rng: ChaCha12Rng,
}

impl<'a> Generator<'a> {
    pub(crate) fn new(schema: &'a Schema, seed: u64) -> Self {
        Self { schema, rng: ChaCha12Rng::seed_from_u64(seed) }
    }

    /// A configuration that the schema allows, but for conditions on several fields.
    pub(crate) fn document(&mut self) -> Value {
        self.value(&self.schema.root())
    }

    /// The same configuration with one field misspelt, or one value that is none; what was done is told.
    pub(crate) fn spoilt(&mut self, document: &Value) -> (Value, String) {
        let mut spoilt = document.clone();
        let mut places = Vec::new();
        places_in(self.schema, &self.schema.root(), document, "", &mut places);
        let (pointer, node) = places.swap_remove(self.below(places.len()));
        let Some(value) = spoilt.pointer_mut(&pointer) else { panic!("{pointer} in {document}") };
        let fields = value.as_object_mut().filter(|fields| !fields.is_empty() && node.is_closed_object());
        if let Some(fields) = fields {
            let name = fields.keys().nth(self.below(fields.len())).cloned().unwrap_or_default();
            let value = fields.remove(&name);
            fields.insert(format!("{name}z"), value.unwrap_or_default());
            return (spoilt, format!("{name} misspelt at `{pointer}`"));
        }
        let text = ["no such word", "no such value"].map(|text| json!(text));
        *value = match node.kind() {
            "boolean" | "object" | "array" => text[0].clone(),
            "integer" | "number" => json!(node.json["maximum"].as_u64().unwrap_or_default() + 1),
            _ if !node.words().is_empty() => text[1].clone(),
            _ => json!(1),
        };
        (spoilt, format!("a bad value at `{pointer}`"))
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.next_u64() % bound as u64).unwrap_or_default()
    }

    fn happens(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn value(&mut self, node: &Node) -> Value {
        if node.is_nullable && self.happens(10) {
            return Value::Null;
        }
        if !node.words().is_empty() {
            return self.pick(&node.words());
        }
        match node.kind() {
            "boolean" => json!(self.happens(50)),
            "integer" => {
                let any = json!(1 + self.below(1_000_000));
                self.pick(&[any, node.json["minimum"].clone(), node.json["maximum"].clone()])
            }
            "number" => {
                let any = json!(self.below(1 << 20) as f64 / f64::from(1 << 20));
                self.pick(&[any, json!(0), json!(1), json!(1e-7)])
            }
            "array" => {
                let item = self.schema.child(node, &Step::Item);
                (0..self.below(4)).map(|_| self.value(&item)).collect()
            }
            "object" => self.object(node).into(),
            _ => self.text(node).into(),
        }
    }

    /// A value that is not `null`.
    fn some_value(&mut self, node: &Node) -> Value {
        self.value(&Node { is_nullable: false, ..node.clone() })
    }

    fn object(&mut self, node: &Node) -> Map<String, Value> {
        let forms: Vec<Value> = node.forms().into_iter().cloned().collect();
        let form = if forms.is_empty() { Value::Null } else { self.pick(&forms) };
        let requires = |form: &Value, name: &str| {
            form["required"].as_array().is_some_and(|names| names.contains(&json!(name)))
        };
        let mut object = Map::new();
        for (step, child, is_required) in self.schema.children(node) {
            let names = match step {
                Step::Field(name) => vec![name],
                Step::Named => ["region", "team"].into_iter().map(str::to_owned).collect(),
                Step::Item => Vec::new(),
            };
            for name in names {
                let is_due = is_required || requires(&form, &name);
                let is_of_another = !is_due && forms.iter().any(|form| requires(form, &name));
                let value = if is_due {
                    self.some_value(&child)
                } else if !self.happens(30) {
                    continue;
                } else if is_of_another && self.happens(70) {
                    // Now and then a form has a field of another.
                    Value::Null
                } else {
                    self.value(&child)
                };
                object.insert(name, value);
            }
        }
        object
    }

    /// A text that the schema allows, and in which the reader may see more than a schema does.
    fn text(&mut self, node: &Node) -> String {
        let title = node.json.get("title").and_then(Value::as_str).unwrap_or_default();
        let texts: &[&str] = match title {
            "Header name" => &["x-a", "X-B", "B3", "tracestate"],
            "Regular expression" => &["/a.*", "[0-9]+", "(", "a(?=b)"],
            "Name of a secret's variable" => &[SECRETS[0], SECRETS[1], "NO_SUCH_VARIABLE"],
            "Range of addresses" => &["10.0.0.0/8", "::1", "10.0.0.0/33", "nowhere"],
            "Visible ASCII text" => &["otel_collector", "outbound|4318||a.b"],
            "Path" => &["/", "/v1/traces"],
            "Label value" => &["a-B_3."],
            _ if node.json.contains_key("pattern") => &["", "%%", "[%(trace_id)s]"],
            _ if node.json.contains_key("minLength") => &["a", "spiffe://mesh/*"],
            _ => &["", "a", "é\n\"", "*.example.org"],
        };
        self.pick(texts).to_owned()
    }
}

/// The pointers to all that stands in a value, with what may stand there.
fn places_in(schema: &Schema, node: &Node, value: &Value, pointer: &str, places: &mut Vec<(String, Node)>) {
    places.push((pointer.to_owned(), node.clone()));
    for (step, child, _) in schema.children(node) {
        let within: Vec<(String, &Value)> = match (&step, value) {
            (Step::Field(name), Value::Object(fields)) => {
                fields.get(name).map(|value| (name.clone(), value)).into_iter().collect()
            }
            (Step::Named, Value::Object(fields)) => {
                fields.iter().map(|(name, value)| (name.clone(), value)).collect()
            }
            (Step::Item, Value::Array(items)) => {
                items.iter().enumerate().map(|(place, value)| (place.to_string(), value)).collect()
            }
            _ => Vec::new(),
        };
        for (name, value) in within {
            places_in(schema, &child, value, &format!("{pointer}/{name}"), places);
        }
    }
}
