// SPDX-License-Identifier: BSD-2-Clause
//! The interface files as data: methods with their labels, in the kernel's order.

use anyhow::{Context, Result, bail};
use roxmltree::{Document, Node};

/// All methods that a kernel has.
pub struct Api {
    pub methods: Vec<Method>,
}

/// One invocation.
pub struct Method {
    /// The kernel's name of the label, such as `TCBConfigure`.
    pub id: String,
    /// The label.
    pub label: usize,
    /// libsel4's name of the stub, such as `seL4_TCB_Configure`.
    pub c_name: String,
    pub inputs: Vec<Parameter>,
    pub outputs: Vec<Parameter>,
}

/// One argument or result.
pub struct Parameter {
    pub name: String,
    /// libsel4's name of the type.
    pub c_type: String,
}

/// Label 0 is never valid.
const FIRST_LABEL: usize = 1;

impl Api {
    /// Reads the files in the order in which the kernel numbers their methods.
    pub fn parse(files: &[&str]) -> Result<Api> {
        let mut methods = Vec::new();
        let mut label = FIRST_LABEL;
        for text in files {
            let document = Document::parse(text).context("not well-formed XML")?;
            for node in elements(document.root(), "method") {
                let id = attribute(node, "id")?;
                let condition = node.attribute("condition").unwrap_or("");
                if !holds(condition).with_context(|| format!("condition of {id}"))? {
                    continue;
                }
                methods.push(method(node, id, label)?);
                label += 1;
            }
        }
        if methods.is_empty() {
            bail!("they name no method");
        }
        Ok(Api { methods })
    }

    /// The method whose label has this name.
    pub fn find(&self, id: &str) -> Option<&Method> {
        self.methods.iter().find(|method| method.id == id)
    }

    /// Whether the kernel has the notification queue.
    pub fn has_queue(&self) -> bool {
        self.find("NotificationQueueAttach").is_some()
    }
}

fn method(node: Node, id: &str, label: usize) -> Result<Method> {
    let interface = node
        .ancestors()
        .find(|n| n.has_tag_name("interface"))
        .with_context(|| format!("method {id} is in no interface"))?;
    let mut result = Method {
        id: id.to_string(),
        label,
        c_name: format!(
            "{}_{}",
            attribute(interface, "name")?,
            attribute(node, "name")?
        ),
        inputs: Vec::new(),
        outputs: Vec::new(),
    };
    for param in elements(node, "param") {
        let parameter = Parameter {
            name: attribute(param, "name")?.to_string(),
            c_type: attribute(param, "type")?.to_string(),
        };
        match attribute(param, "dir")? {
            "in" => result.inputs.push(parameter),
            "out" => result.outputs.push(parameter),
            other => bail!("method {id}: direction {other} of {}", parameter.name),
        }
    }
    Ok(result)
}

fn elements<'a>(root: Node<'a, 'a>, tag: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
    root.descendants().filter(move |n| n.has_tag_name(tag))
}

fn attribute<'a>(node: Node<'a, 'a>, name: &str) -> Result<&'a str> {
    node.attribute(name)
        .with_context(|| format!("<{}> without {name}", node.tag_name().name()))
}

/// Whether both kernels are configured so that `condition` holds.
///
/// The interface files use few conditions. One that is not listed stops the build: a label
/// counted wrongly would call a different method.
fn holds(condition: &str) -> Result<bool> {
    match condition {
        "" => Ok(true),
        "CONFIG_MAX_NUM_NODES > 1" => Ok(std::env::var_os("CARGO_FEATURE_SMP").is_some()),
        "defined(CONFIG_HARDWARE_DEBUG_API)" | "defined(CONFIG_VTX)" => Ok(false),
        _ => bail!("`{condition}` is not known: add it to build/model.rs as both kernels have it"),
    }
}
