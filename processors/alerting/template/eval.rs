//! From nodes and facts to text.

use std::collections::BTreeMap;

use super::format;
use super::functions;
use super::parse::{Command, Node, Pipeline, Term};
use super::{Facts, OUTPUT, STEPS};

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Map(BTreeMap<String, String>),
    List(Vec<Value>),
    /// The dot at the beginning.
    Facts,
}

impl Value {
    pub fn truth(&self) -> bool {
        match self {
            Value::Nil => false,
            Value::Bool(bool) => *bool,
            Value::Int(int) => *int != 0,
            Value::Float(float) => *float != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::Map(map) => !map.is_empty(),
            Value::List(list) => !list.is_empty(),
            Value::Facts => true,
        }
    }
}

/// What came of a block.
enum Flow {
    On,
    Break,
    Continue,
}

pub struct Eval<'a> {
    pub facts: &'a Facts<'a>,
    out: String,
    steps: usize,
    variables: Vec<(String, Value)>,
}

pub fn expand(nodes: &[Node], facts: &Facts<'_>) -> Result<String, String> {
    let map = |labels: &catchment_pipeline::alerts::Labels| {
        Value::Map(labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    };
    let [labels, value, external_labels, external_url] = functions::VARIABLES.map(str::to_owned);
    let variables = vec![
        (labels, map(facts.labels)),
        (value, Value::Float(facts.value.unwrap_or(f64::NAN))),
        (external_labels, map(facts.external_labels)),
        (external_url, Value::Text(facts.external_url.to_owned())),
    ];
    let mut eval = Eval { facts, out: String::new(), steps: 0, variables };
    eval.block(nodes, &Value::Facts)?;
    Ok(eval.out)
}

impl Eval<'_> {
    /// Steps are bounded, so that loops within loops end.
    fn step(&mut self) -> Result<(), String> {
        self.steps += 1;
        if self.steps > STEPS { Err("it takes too many steps".to_owned()) } else { Ok(()) }
    }

    fn print(&mut self, text: &str) -> Result<(), String> {
        if self.out.len() + text.len() > OUTPUT {
            return Err(format!("it gives more than {OUTPUT} bytes"));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn block(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, String> {
        let known = self.variables.len();
        for node in nodes {
            let flow = self.node(node, dot)?;
            if !matches!(flow, Flow::On) {
                self.variables.truncate(known);
                return Ok(flow);
            }
        }
        self.variables.truncate(known);
        Ok(Flow::On)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<Flow, String> {
        self.step()?;
        match node {
            Node::Text(text) => self.print(text)?,
            Node::Print(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                self.print(&format::show(&value))?;
            }
            Node::Let(name, declares, pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                match self.variables.iter_mut().rev().find(|(known, _)| known == name).filter(|_| !declares) {
                    Some((_, held)) => *held = value,
                    None => self.variables.push((name.clone(), value)),
                }
            }
            Node::If(arms, otherwise) => {
                for (condition, nodes) in arms {
                    if self.pipeline(condition, dot)?.truth() {
                        return self.block(nodes, dot);
                    }
                }
                return self.block(otherwise, dot);
            }
            Node::With(name, pipeline, nodes, otherwise) => {
                let value = self.pipeline(pipeline, dot)?;
                if !value.truth() {
                    return self.block(otherwise, dot);
                }
                let known = self.variables.len();
                self.variables.extend(name.clone().map(|name| (name, value.clone())));
                let flow = self.block(nodes, &value);
                self.variables.truncate(known);
                return flow;
            }
            Node::Range(key, value, pipeline, nodes, otherwise) => {
                return self.range((key.as_ref(), value.as_ref()), pipeline, (nodes, otherwise), dot);
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn range(
        &mut self,
        (key, value): (Option<&String>, Option<&String>),
        pipeline: &Pipeline,
        (nodes, otherwise): (&[Node], &[Node]),
        dot: &Value,
    ) -> Result<Flow, String> {
        let items: Vec<(Value, Value)> = match self.pipeline(pipeline, dot)? {
            Value::Map(map) => map.into_iter().map(|(key, value)| (Value::Text(key), Value::Text(value))).collect(),
            Value::List(list) => list.into_iter().enumerate().map(|(at, item)| (Value::Int(at as i64), item)).collect(),
            Value::Int(count) if (0..=STEPS as i64).contains(&count) => {
                (0..count).map(|at| (Value::Int(at), Value::Int(at))).collect()
            }
            Value::Nil => Vec::new(),
            other => return Err(format!("range can't iterate over {}", format::show(&other))),
        };
        if items.is_empty() {
            return self.block(otherwise, dot);
        }
        for (at, item) in items {
            self.step()?;
            let known = self.variables.len();
            self.variables.extend(key.map(|name| (name.clone(), at)));
            self.variables.extend(value.map(|name| (name.clone(), item.clone())));
            let flow = self.block(nodes, &item);
            self.variables.truncate(known);
            if let Flow::Break = flow? {
                break;
            }
        }
        Ok(Flow::On)
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, String> {
        let mut given = None;
        for command in pipeline {
            given = Some(self.command(command, given, dot)?);
        }
        Ok(given.unwrap_or(Value::Nil))
    }

    fn command(&mut self, command: &Command, given: Option<Value>, dot: &Value) -> Result<Value, String> {
        self.step()?;
        let Some((first, rest)) = command.split_first() else { return Ok(Value::Nil) };
        let Term::Function(name) = first else { return self.term(first, dot) };
        // These look no further than they must.
        if let "and" | "or" = name.as_str() {
            let stops = name == "or";
            let mut last = None;
            for term in rest {
                let value = self.term(term, dot)?;
                let done = value.truth() == stops;
                last = Some(value);
                if done {
                    return Ok(last.unwrap_or(Value::Nil));
                }
            }
            return given.or(last).ok_or_else(|| format!("wrong number of args for {name}: want at least 1 got 0"));
        }
        let mut arguments = rest.iter().map(|term| self.term(term, dot)).collect::<Result<Vec<_>, _>>()?;
        arguments.extend(given);
        let value = functions::call(name, arguments, self.facts)?;
        match &value {
            Value::Text(text) if text.len() > OUTPUT => Err(format!("{name} gives more than {OUTPUT} bytes")),
            _ => Ok(value),
        }
    }

    fn term(&mut self, term: &Term, dot: &Value) -> Result<Value, String> {
        self.step()?;
        Ok(match term {
            Term::Dot(fields) => self.fields(dot.clone(), fields)?,
            Term::Variable(name, fields) => {
                let held = self.variables.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone());
                self.fields(held.unwrap_or(Value::Facts), fields)?
            }
            Term::Function(name) => functions::call(name, Vec::new(), self.facts)?,
            Term::Text(text) => Value::Text(text.clone()),
            Term::Int(int) => Value::Int(*int),
            Term::Float(float) => Value::Float(*float),
            Term::Bool(bool) => Value::Bool(*bool),
            Term::Nil => Value::Nil,
            Term::Inner(pipeline, fields) => {
                let value = self.pipeline(pipeline, dot)?;
                self.fields(value, fields)?
            }
        })
    }

    fn fields(&self, value: Value, fields: &[String]) -> Result<Value, String> {
        let Some((first, rest)) = fields.split_first() else { return Ok(value) };
        let variable = |at: usize| self.variables.get(at).map_or(Value::Nil, |(_, value)| value.clone());
        let inner = match &value {
            Value::Facts => match first.as_str() {
                "Labels" => variable(0),
                "Value" => variable(1),
                "ExternalLabels" => variable(2),
                "ExternalURL" => variable(3),
                other => {
                    return Err(format!(
                        "can't evaluate field {other}: there are Labels, Value, ExternalLabels and ExternalURL"
                    ));
                }
            },
            Value::Map(map) => {
                // Names of OpenTelemetry have dots.
                let dotted = (1..=fields.len()).rev().find_map(|many| {
                    let name = fields.get(..many)?.join(".");
                    map.get(&name).map(|value| (value.clone(), many))
                });
                let (text, many) = dotted.unwrap_or((String::new(), fields.len()));
                return self.fields(Value::Text(text), fields.get(many..).unwrap_or_default());
            }
            other => return Err(format!("can't evaluate field {first} in {}", format::show(other))),
        };
        self.fields(inner, rest)
    }
}
