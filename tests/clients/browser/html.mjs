// Parses what a user without JavaScript can use of a page: its text, links, forms and refresh.

const NOISE = /<!--[\s\S]*?-->|<![a-z][^>]*>|<(script|style|template)\b[\s\S]*?<\/\1\s*>/gi;
const TAG = /<(\/?)([a-z][\w-]*)((?:[^<>"']|"[^"]*"|'[^']*')*)>/gi;
const ATTRIBUTE = /([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'=<>`]+)))?/g;
const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ' };

/** A page as {text, links: [{href, text}], forms: [{action, method, controls}], refresh: string | null}; URLs absolute. */
export function readPage(html, url) {
  const page = { text: '', links: [], forms: [], refresh: null, base: url };
  const clean = html.replace(NOISE, ' ');
  const open = { form: null, link: null, select: null, area: null, button: null };
  let end = 0;
  for (const match of clean.matchAll(TAG)) {
    addText(page, open, decode(clean.slice(end, match.index)));
    end = match.index + match[0].length;
    const name = match[2].toLowerCase();
    if (match[1]) closeTag(open, name);
    else openTag(page, open, name, attributes(match[3]));
  }
  addText(page, open, decode(clean.slice(end)));
  page.text = page.text.replace(/\s+/g, ' ').trim();
  return page;
}

function addText(page, open, text) {
  if (open.area) open.area.value += text;
  if (open.link) open.link.text += text;
  if (open.button) open.button.text += text;
  if (open.option?.textIsValue) open.option.value += text.trim();
  page.text += ` ${text}`;
}

function closeTag(open, name) {
  const key = { form: 'form', a: 'link', select: 'select', textarea: 'area', button: 'button', option: 'option' }[name];
  if (key) open[key] = null;
}

function openTag(page, open, name, attrs) {
  const absolute = (href) => new URL(href, page.base).href;
  if (name === 'base' && attrs.href) page.base = absolute(attrs.href);
  if (name === 'meta' && attrs['http-equiv']?.toLowerCase() === 'refresh') page.refresh ??= refreshTarget(attrs.content, absolute);
  if (name === 'a' && attrs.href && !attrs.href.startsWith('#')) page.links.push((open.link = { href: absolute(attrs.href), text: '' }));
  if (name === 'form') page.forms.push((open.form = newForm(attrs, absolute, page.base)));
  const form = formOf(page, open, attrs);
  if (form) openControl(form, open, { name, attrs, absolute });
}

function formOf(page, open, attrs) {
  return attrs.form ? page.forms.find((form) => form.id === attrs.form) : open.form;
}

function newForm(attrs, absolute, url) {
  return { id: attrs.id, action: attrs.action ? absolute(attrs.action) : url, method: (attrs.method ?? 'get').toUpperCase(), controls: [] };
}

function openControl(form, open, { name, attrs, absolute }) {
  if (name === 'option' && open.select) return openOption(open, attrs);
  if (!['input', 'button', 'select', 'textarea'].includes(name) || 'disabled' in attrs) return;
  const type = name === 'input' ? (attrs.type ?? 'text').toLowerCase() : name === 'button' ? (attrs.type ?? 'submit').toLowerCase() : name;
  const control = { type, name: attrs.name, value: attrs.value ?? (type === 'checkbox' || type === 'radio' ? 'on' : ''), text: '' };
  control.checked = 'checked' in attrs;
  if (attrs.formaction) control.action = absolute(attrs.formaction);
  form.controls.push(control);
  if (name === 'select') open.select = Object.assign(control, { options: 0 });
  if (name === 'textarea') open.area = control;
  if (name === 'button') open.button = control;
}

/** The selected option, or the first one; an option without a value has its text as value. */
function openOption(open, attrs) {
  const { select } = open;
  open.option = null;
  if (select.options++ > 0 && !('selected' in attrs)) return;
  select.value = attrs.value ?? '';
  if (attrs.value === undefined) {
    select.textIsValue = true;
    open.option = select;
  }
}

function refreshTarget(content, absolute) {
  const target = /^\s*[\d.]*\s*[;,]?\s*url\s*=\s*(?:"([^"]*)"|'([^']*)'|(.+?))\s*$/i.exec(content ?? '');
  return target ? absolute(target[1] ?? target[2] ?? target[3]) : null;
}

function attributes(source) {
  const found = {};
  for (const [, name, double, single, bare] of source.matchAll(ATTRIBUTE)) found[name.toLowerCase()] ??= decode(double ?? single ?? bare ?? '');
  return found;
}

function decode(text) {
  return text.replace(/&(?:#x([\da-f]+)|#(\d+)|([a-z]+));/gi, (whole, hex, decimal, name) => {
    if (name) return ENTITIES[name.toLowerCase()] ?? whole;
    return String.fromCodePoint(hex ? Number.parseInt(hex, 16) : Number(decimal));
  });
}
