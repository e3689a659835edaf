// What a module really has: each function's parameters, with the names that it takes out of an object, and what it does not declare.
async (url) => {
  // The pieces of text between commas, from the bracket at start to the one that closes it.
  const pieces = (text, start) => {
    const list = [];
    let depth = 0;
    let from = start + 1;
    for (let i = start; i < text.length; i++) {
      if ("([{".includes(text[i])) depth += 1;
      if (")]}".includes(text[i])) depth -= 1;
      if (depth === 0 || (depth === 1 && text[i] === ",")) {
        list.push(text.slice(from, i).trim());
        from = i + 1;
      }
      if (depth === 0) return list.filter(Boolean);
    }
    return list;
  };
  const parameters = (f) => {
    const text = f.toString();
    const start = text.startsWith("class") ? text.indexOf("(", text.indexOf("constructor(")) : text.indexOf("(");
    return pieces(text, start).map((one) => {
      const keys = one.startsWith("{") ? pieces(one, 0) : [];
      return { keys: keys.filter((k) => !k.startsWith("...")).map((k) => k.match(/^\w+/)[0]), rest: !one.startsWith("{") || keys.some((k) => k.startsWith("...")) };
    });
  };
  const functions = (object) => Object.fromEntries(Object.entries(object).map(([name, f]) => [name, parameters(f)]));
  const module = await import(url);
  const classes = {};
  for (const [name, made] of Object.entries(module)) {
    if (made.toString().startsWith("class")) {
      const own = Object.getOwnPropertyNames(made.prototype).filter((member) => !/constructor|Callback$/.test(member));
      classes[name] = [...new Set([...own, ...Object.keys(new made("")).filter((key) => key !== "name")])].sort();
    }
  }
  return { exports: functions(module), classes, client: module.createClient ? functions(module.createClient()) : {} };
}
