//! The first step: which of the arguments is the release's name, and which the chart.

use std::sync::Arc;

use gotmpl::{Functions, Interp, TemplateSet, Value};
use helm::engine::{Host, NoLookup};
use helm::functions;

use super::{Error, Moment, Options};

/// What a release without a name is called.
const DEFAULT: &str = "release-name";

/// What Go calls the template of a name.
const TEMPLATE: &str = "name-template";

/// The release's name and the chart's reference.
pub(super) fn and_chart<'o>(options: &'o Options, moment: &Moment) -> Result<(String, &'o str), Error> {
    let template = options.name_template.as_deref().filter(|template| !template.is_empty());
    match options.arguments.as_slice() {
        [chart] => {
            let name = template.map(|template| made(template, moment)).transpose()?;
            Ok((name.unwrap_or_else(|| DEFAULT.to_owned()), chart))
        }
        [_, _] if options.generate_name => Err(Error::TwoNames("--generate-name")),
        [_, _] if template.is_some() => Err(Error::TwoNames("--name-template")),
        [name, chart] => Ok((name.clone(), chart)),
        arguments => Err(Error::ManyArguments(arguments.get(2..).unwrap_or_default().to_vec())),
    }
}

/// The name that a template makes.
fn made(template: &str, moment: &Moment) -> Result<String, Error> {
    if !template.contains("{{") {
        return Ok(template.to_owned());
    }
    let host = Host::new(moment.now.clone(), moment.seed, Arc::new(NoLookup));
    let functions = Functions::new(&[functions::table()]);
    let mut set = TemplateSet::new(TEMPLATE);
    set.parse(TEMPLATE, template.as_bytes(), functions.names()).map_err(Error::ParseName)?;
    let mut name = Vec::new();
    let mut interp = Interp::new(&host, &functions, set, gotmpl::Limits::default());
    let executed = interp.execute(TEMPLATE.as_bytes(), &Value::Nil, &mut name);
    executed.map_err(Error::ExecuteName)?;
    Ok(String::from_utf8_lossy(&name).into_owned())
}
