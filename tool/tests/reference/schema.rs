//! The schema as a tree of places, each of which a field or an item can stand at.

use serde_json::{Map, Value, json};

use crate::printed;

/// The schema that the command prints, and an independent judge by it.
pub(crate) struct Schema {
    root: Value,
    validator: jsonschema::Validator,
}

/// How a place is reached from the one around it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Field(String),
    Item,
    /// A field whose name is anyone's.
    Named,
}

/// A place of a configuration.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) steps: Vec<Step>,
    pub(crate) schema: Node,
    pub(crate) is_required: bool,
}

/// What may stand at a place, references followed.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) json: Map<String, Value>,
    pub(crate) is_nullable: bool,
}

impl Schema {
    pub(crate) fn read() -> Self {
        let root: Value = serde_json::from_str(&printed(&["schema"])).expect("JSON");
        jsonschema::meta::validate(&root).expect("a JSON Schema");
        let validator = jsonschema::draft202012::new(&root).expect("a JSON Schema of 2020-12");
        Self { root, validator }
    }

    pub(crate) fn accepts(&self, document: &Value) -> bool {
        self.validator.is_valid(document)
    }

    pub(crate) fn root(&self) -> Node {
        self.node(&self.root)
    }

    /// Every place but the root, each before those within.
    pub(crate) fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        self.visit(&self.root(), &[], &mut places);
        places
    }

    pub(crate) fn places_and_root(&self) -> Vec<Place> {
        let root = Place { steps: Vec::new(), schema: self.root(), is_required: true };
        [vec![root], self.places()].concat()
    }

    /// A field of the object that stands at a place.
    pub(crate) fn field(&self, place: &Place, name: &str) -> Place {
        let step = Step::Field(name.to_owned());
        let schema = self.child(&place.schema, &step);
        let steps = [place.steps.clone(), vec![step]].concat();
        Place { steps, schema, is_required: place.schema.requires(name) }
    }

    fn visit(&self, node: &Node, steps: &[Step], places: &mut Vec<Place>) {
        for (step, schema, is_required) in self.children(node) {
            let place = Place { steps: [steps, &[step]].concat(), schema, is_required };
            places.push(place.clone());
            self.visit(&place.schema, &place.steps, places);
        }
    }

    /// What can stand in a value.
    pub(crate) fn children(&self, node: &Node) -> Vec<(Step, Node, bool)> {
        let fields = node
            .fields()
            .map(|(name, field)| (Step::Field(name.clone()), self.node(field), node.requires(name)));
        let named = node.json.get("additionalProperties").filter(|named| named.is_object());
        let items = node.json.get("items").map(|item| (Step::Item, self.node(item), false));
        fields.chain(items).chain(named.map(|named| (Step::Named, self.node(named), false))).collect()
    }

    pub(crate) fn child(&self, node: &Node, step: &Step) -> Node {
        let mut children = self.children(node).into_iter();
        children.find(|(other, ..)| other == step).expect("there is such a step").1
    }

    fn node(&self, schema: &Value) -> Node {
        let own = schema.as_object().expect("an object");
        let forms = own.get("anyOf").and_then(Value::as_array).into_iter().flatten();
        let (nulls, others): (Vec<&Value>, Vec<&Value>) = forms.partition(|form| form["type"] == "null");
        let mut json = Map::new();
        let is_one = others.len() == 1;
        for schema in others.into_iter().chain([schema]) {
            if let Some(definition) = schema["$ref"].as_str() {
                let pointer = definition.strip_prefix('#').expect("a definition of the same schema");
                let definition = self.root.pointer(pointer).expect("a definition that is there");
                json.extend(self.node(definition).json);
            } else if is_one {
                json.extend(schema.as_object().cloned().expect("an object"));
            }
        }
        json.extend(own.clone());
        let mut is_nullable = !nulls.is_empty();
        if let Some(Value::Array(types)) = json.get("type") {
            is_nullable |= types.contains(&json!("null"));
            let own = types.iter().find(|name| **name != "null").cloned();
            json.insert("type".to_owned(), own.expect("a type beside null"));
        }
        Node { json, is_nullable }
    }
}

impl Node {
    /// Whether it is an object that takes no fields but its own.
    pub(crate) fn is_closed_object(&self) -> bool {
        self.json.get("additionalProperties").is_some_and(|more| *more == false)
    }

    pub(crate) fn kind(&self) -> &str {
        self.json["type"].as_str().expect("one type")
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.json.get("properties").and_then(Value::as_object).into_iter().flatten()
    }

    pub(crate) fn list(&self, key: &str) -> impl Iterator<Item = &Value> {
        self.json.get(key).and_then(Value::as_array).into_iter().flatten()
    }

    fn requires(&self, name: &str) -> bool {
        self.list("required").any(|required| required == name)
    }

    /// The words that a text may be.
    pub(crate) fn words(&self) -> Vec<Value> {
        let not = self.json.get("not").and_then(|not| not["enum"].as_array());
        let words = self.list("oneOf").filter_map(|word| word.get("const"));
        words.filter(|word| not.is_none_or(|not| !not.contains(word))).cloned().collect()
    }

    /// The forms of an object, each of which requires other fields.
    pub(crate) fn forms(&self) -> Vec<&Value> {
        self.list("oneOf").filter(|form| form.get("required").is_some()).collect()
    }
}

impl Place {
    /// The path as the documents write it.
    pub(crate) fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.steps {
            match step {
                Step::Item => path.push_str("[]"),
                Step::Named => path.push_str(".*"),
                Step::Field(name) => {
                    path.push_str(if path.is_empty() { "" } else { "." });
                    path.push_str(name);
                }
            }
        }
        path
    }
}
