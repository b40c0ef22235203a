//! Tolerant parser of forms and refreshes, made for the gateway's pages.

mod tags;

use url::Url;

use super::source::Source;
use crate::ClientError;
use tags::{Tag, Tags};

/// Form of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    /// `action` as written; empty for the page itself.
    pub action: String,
    /// `get` or `post`.
    pub method: String,
    /// Fields in order, including hidden ones.
    pub fields: Vec<Field>,
    /// Submit buttons in order.
    pub buttons: Vec<Button>,
    /// Page of the form.
    pub(super) source: Source,
}

/// Field of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Name.
    pub name: String,
    /// Default value.
    pub value: String,
    /// `type` in lower case: `hidden`, `text`, `checkbox`, `radio`, `select`, …
    pub kind: String,
    /// `true` if the field is submitted by default: false for an unchecked checkbox or radio button.
    pub checked: bool,
}

/// Submit button.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Button {
    /// Name; empty if it is not submitted.
    pub name: String,
    /// Value.
    pub value: String,
    /// Text.
    pub text: String,
    /// `formaction`, if present.
    pub action: Option<String>,
}

impl Form {
    /// Returns `true` if there is a field with this name.
    pub fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name)
    }

    /// Value of the first field with this name.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.name == name).map(|field| field.value.as_str())
    }

    /// Button with this name, value or text; by default the first one, if any.
    pub(super) fn button(&self, wanted: Option<&str>) -> Result<Option<&Button>, ClientError> {
        let Some(wanted) = wanted else { return Ok(self.buttons.first()) };
        let is =
            |button: &&Button| [&button.name, &button.value, &button.text].iter().any(|text| *text == wanted);
        let found = self.buttons.iter().find(is);
        found
            .map(Some)
            .ok_or_else(|| ClientError::new(format!("no button {wanted:?} among {:?}", self.buttons)))
    }

    pub(super) fn target(&self, button: Option<&Button>) -> Result<Url, ClientError> {
        let action = button.and_then(|button| button.action.as_deref()).unwrap_or(&self.action);
        let page = self.source.page.as_ref().ok_or_else(|| ClientError::new("a form without a page"))?;
        Ok(if action.is_empty() { page.clone() } else { page.join(action)? })
    }

    /// Submitted data: fields in order, overrides in place of their fields, then the button.
    pub(super) fn data(&self, overrides: &[(&str, &str)], button: Option<&Button>) -> Vec<(String, String)> {
        let replaced = |name: &str| overrides.iter().any(|(other, _)| *other == name);
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut data: Vec<_> = self
            .fields
            .iter()
            .filter(|field| field.checked && !replaced(&field.name))
            .map(|field| (field.name.clone(), field.value.clone()))
            .collect();
        data.extend(overrides.iter().map(pair));
        if let Some(button) = button.filter(|button| !button.name.is_empty()) {
            data.push((button.name.clone(), button.value.clone()));
        }
        data
    }
}

/// Forms of a page, in order.
pub(super) fn forms(html: &str, source: &Source) -> Vec<Form> {
    let mut forms = Vec::new();
    let mut open: Option<Form> = None;
    for tag in Tags::new(html) {
        match (tag.name.as_str(), &mut open) {
            ("form", _) => {
                forms.extend(open.take());
                let method = tag.get("method").unwrap_or_default().to_ascii_lowercase();
                let method = if method == "post" { method } else { "get".to_owned() };
                let action = tag.get("action").unwrap_or_default().to_owned();
                open = Some(Form { action, method, source: source.clone(), ..Form::default() });
            }
            ("/form", _) => forms.extend(open.take()),
            (_, Some(form)) => add(form, &tag),
            _ => {}
        }
    }
    forms.extend(open);
    forms
}

/// Target of `<meta http-equiv="refresh" content="0; url=…">`.
pub(super) fn refresh(html: &str) -> Option<String> {
    let is_refresh = |tag: &Tag| {
        tag.name == "meta" && tag.get("http-equiv").is_some_and(|value| value.eq_ignore_ascii_case("refresh"))
    };
    let tag = Tags::new(html).find(is_refresh)?;
    let (_, target) = tag.get("content")?.split_once(';')?;
    let (name, url) = target.split_once('=')?;
    let url = url.trim().trim_matches(['\'', '"']);
    name.trim().eq_ignore_ascii_case("url").then(|| url.to_owned())
}

fn add(form: &mut Form, tag: &Tag) {
    let text = |name: &str| tag.get(name).unwrap_or_default().to_owned();
    let kind = text("type").to_ascii_lowercase();
    match (tag.name.as_str(), kind.as_str()) {
        ("input", "submit" | "image") => form.buttons.push(button(tag, text("value"))),
        ("button", "" | "submit") => form.buttons.push(button(tag, tag.text.clone())),
        ("input", "button" | "reset") | ("button", _) => {}
        ("input", _) if tag.has("disabled") => {}
        ("input", "checkbox" | "radio") => {
            let value = tag.get("value").unwrap_or("on").to_owned();
            form.fields.push(Field { name: text("name"), value, kind, checked: tag.has("checked") });
        }
        ("input", _) => {
            form.fields.push(Field { name: text("name"), value: text("value"), kind, checked: true });
        }
        ("textarea", _) => {
            form.fields.push(Field {
                name: text("name"),
                value: tag.text.clone(),
                kind: "textarea".to_owned(),
                checked: true,
            });
        }
        ("select", _) => {
            form.fields.push(Field {
                name: text("name"),
                value: String::new(),
                kind: "select".to_owned(),
                checked: false,
            });
        }
        ("option", _) => option(form, tag),
        _ => {}
    }
    form.fields.retain(|field| !field.name.is_empty());
}

/// The first option is the value, unless another one is selected.
fn option(form: &mut Form, tag: &Tag) {
    if let Some(select) = form.fields.last_mut().filter(|field| field.kind == "select")
        && (!select.checked || tag.has("selected"))
    {
        select.value = tag.get("value").map_or_else(|| tag.text.clone(), str::to_owned);
        select.checked = true;
    }
}

fn button(tag: &Tag, text: String) -> Button {
    let value = |name: &str| tag.get(name).unwrap_or_default().to_owned();
    Button {
        name: value("name"),
        value: value("value"),
        text,
        action: tag.get("formaction").map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::{Source, forms, refresh};

    const PAGE: &str = r#"<!doctype html><title>a < b</title><!-- <form action="/no"> -->
        <script>if (a < b) document.write("<form action='/no2'>")</script>
        <form method=POST action="/go?a=1&amp;b=2"><input type=hidden name=csrf value="x&quot;&#39;&#x2f;">
        <input type="radio" name=route value=a><input type=radio name=route value=b checked>
        <input type=checkbox name=remember><select name=s><option value=1>One<option value=2 selected>Two</select>
        <button name="decision" value="deny">No, <b>thanks</b></button><button name=decision value=approve>Continue</button>
        <button type=button>Help</button></form>"#;

    #[test]
    fn forms_are_parsed_like_in_a_browser() {
        let found = forms(PAGE, &Source::default());
        assert_eq!(found.len(), 1);
        let form = &found[0];
        assert_eq!((form.action.as_str(), form.method.as_str()), ("/go?a=1&b=2", "post"));
        let button = form.button(Some("Continue")).unwrap();
        let data = form.data(&[("remember", "on")], button);
        let data: Vec<_> = data.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let want =
            [("csrf", "x\"'/"), ("route", "b"), ("s", "2"), ("remember", "on"), ("decision", "approve")];
        assert_eq!(data, want);
        assert_eq!(form.buttons[0].text, "No, thanks");
        assert_eq!(form.buttons.len(), 2);
    }

    #[test]
    fn a_meta_refresh_is_found() {
        let page = r#"<meta charset=utf-8><META HTTP-EQUIV="Refresh" CONTENT="0; URL=cursor://x/cb?code=1&amp;state=2">"#;
        assert_eq!(refresh(page).as_deref(), Some("cursor://x/cb?code=1&state=2"));
        assert_eq!(refresh("<meta http-equiv=refresh content=5>"), None);
    }
}
