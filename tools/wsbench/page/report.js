'use strict';

// The cases of all documents; those of one name and the same settings stand side by side.
function casesOf(documents) {
  const cases = new Map();
  for (const document of documents) {
    for (const one of document.cases) {
      const key = JSON.stringify([one.name, one.settings]);
      if (!cases.has(key)) cases.set(key, { ...one, servers: [], ratios: [], faults: [] });
      const merged = cases.get(key);
      for (const server of one.servers) merged.servers.push({ ...server });
      merged.ratios.push(...one.ratios);
      merged.faults.push(...one.faults);
    }
  }
  for (const one of cases.values()) tellApart(one.servers);
  return [...cases.values()];
}

function tellApart(servers) {
  const seen = new Map();
  for (const server of servers) {
    const count = (seen.get(server.name) ?? 0) + 1;
    seen.set(server.name, count);
    if (count > 1) server.name += ` (${count})`;
  }
}

// A server has one colour on the whole page.
const series = new Map();
function colorOf(name) {
  if (!series.has(name)) series.set(name, series.size % 6);
  return `var(--series-${series.get(name)})`;
}

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function draw(name, attributes = {}, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function shortNumber(value) {
  const size = Math.abs(value);
  if (size >= 1000 || Number.isInteger(value)) return Math.round(value).toLocaleString('en-US');
  return value.toPrecision(size >= 1 ? 4 : 3);
}

// With the unit that a figure's name ends with.
function amount(name, value) {
  if (/_ns(_|$)/.test(name)) return duration(value);
  if (/_bytes(_|$)|^(resident|private)/.test(name)) return `${shortNumber(Math.round(value))} B`;
  return shortNumber(value);
}

function duration(ns) {
  for (const [unit, size] of [['s', 1e9], ['ms', 1e6], ['µs', 1e3]]) {
    if (ns >= size) return `${(ns / size).toPrecision(3)} ${unit}`;
  }
  return `${Number(ns.toPrecision(3))} ns`;
}

function titleOf(name) {
  return name.replace(/_ns(?=_|$)/, '').replace(/_per_s$/, ' per second').replace('cpu', 'CPU')
    .replaceAll('_', ' ').replace(/^./, letter => letter.toUpperCase());
}

const median = (server, name) => server.figures[name]?.median;

function plot(title, image, wide = false) {
  return make('figure', wide ? { class: 'wide' } : {}, make('h3', {}, title), image);
}

// One bar for each server with its spread, and the ratios of the pairs.
function bars({ servers, ratios }, name) {
  const shown = servers.filter(server => median(server, name) !== undefined);
  if (shown.length === 0) return null;
  const width = 330, row = 44, top = Math.max(...shown.map(one => one.figures[name].highest), 1e-9);
  const image = draw('svg', { viewBox: `0 0 ${width} ${shown.length * row}`, role: 'img' },
    draw('title', {}, titleOf(name)));
  shown.forEach((server, i) => {
    const { median: value, lowest, highest } = server.figures[name];
    const at = x => Math.max(0, x) / top * (width - 2);
    const y = i * row;
    image.append(
      draw('text', { x: 0, y: y + 13 }, server.name),
      draw('text', { x: width, y: y + 13, 'text-anchor': 'end' }, amount(name, value)),
      draw('rect', { x: 0, y: y + 19, width: Math.max(1, at(value)), height: 12, rx: 2, fill: colorOf(server.name) },
        draw('title', {}, `${server.name}: ${amount(name, value)}, from ${amount(name, lowest)} to ${amount(name, highest)}`)));
    if (server.runs.length > 1) {
      image.append(draw('path', {
        d: `M${at(lowest) + 1} ${y + 25}H${at(highest) + 1}M${at(lowest) + 1} ${y + 21}v8M${at(highest) + 1} ${y + 21}v8`,
        stroke: 'var(--text)', fill: 'none',
      }));
    }
  });
  const figure = plot(titleOf(name), image);
  for (const ratio of ratios.filter(each => each.figures[name])) {
    figure.append(make('p', { class: 'soft' }, `${ratio.of} / ${ratio.to}: ${spreadText(ratio.figures[name])}`));
  }
  return figure;
}

const spreadText = ({ median, lowest, highest }) =>
  `${median.toPrecision(3)} (${lowest.toPrecision(3)} to ${highest.toPrecision(3)})`;

// Latency by percentile; both axes logarithmic, so that the tail can be seen.
function latencies(servers) {
  const shown = servers.filter(server => server.latency_histogram_ns.length > 0);
  if (shown.length === 0) return null;
  const width = 700, height = 300, left = 62, right = 14, below = 34, above = 10;
  const most = Math.max(...shown.map(one => total(one.latency_histogram_ns)));
  const decades = Math.max(2, Math.min(6, Math.ceil(Math.log10(most))));
  const values = shown.flatMap(one => one.latency_histogram_ns.map(([upper]) => Math.max(1, upper)));
  const low = Math.floor(Math.log10(Math.min(...values))), high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values))));
  const x = above1 => left + Math.min(decades, above1) / decades * (width - left - right);
  const y = value => height - below - (Math.log10(Math.max(1, value)) - low) / (high - low) * (height - below - above);
  const image = draw('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img' }, draw('title', {}, 'Latency by percentile'));
  for (let power = low; power <= high; ++power) {
    image.append(
      draw('line', { class: 'grid', x1: left, x2: width - right, y1: y(10 ** power), y2: y(10 ** power) }),
      draw('text', { class: 'soft', x: left - 6, y: y(10 ** power) + 4, 'text-anchor': 'end' }, duration(10 ** power)));
  }
  for (let decade = 0; decade <= decades; ++decade) {
    const name = decade === 0 ? '0 %' : `${decade < 3 ? 100 - 100 / 10 ** decade : (100 - 100 / 10 ** decade).toFixed(decade - 2)} %`;
    image.append(
      draw('line', { class: 'grid', x1: x(decade), x2: x(decade), y1: above, y2: height - below }),
      draw('text', { class: 'soft', x: x(decade), y: height - below + 16, 'text-anchor': decade === decades ? 'end' : 'middle' }, name));
  }
  for (const server of shown) {
    const all = total(server.latency_histogram_ns);
    let passed = 0, path = '';
    for (const [upper, count] of server.latency_histogram_ns) {
      passed += count;
      const nines = passed >= all ? decades : Math.log10(all / (all - passed));
      path += `${path ? 'L' : 'M'}${x(nines).toFixed(1)} ${y(upper).toFixed(1)}`;
    }
    image.append(draw('path', { class: 'curve', d: path, stroke: colorOf(server.name) }, draw('title', {}, server.name)));
  }
  const figure = plot('Latency: so many per cent were not slower', image, true);
  figure.append(legend(shown));
  return figure;
}

const total = histogram => histogram.reduce((sum, [, count]) => sum + count, 0);

function legend(servers) {
  return make('ul', { class: 'legend' }, ...servers.map(server =>
    make('li', {}, make('span', { style: `background:${colorOf(server.name)}` }), server.name)));
}

function table(one) {
  const names = [...new Set(one.servers.flatMap(server => Object.keys(server.figures)))];
  const head = make('tr', {}, make('th', {}, ''), ...one.servers.map(server => make('th', {}, server.name)),
    ...one.ratios.map(ratio => make('th', {}, `${ratio.of} / ${ratio.to}`)));
  const rows = names.map(name => make('tr', {}, make('td', {}, name),
    ...one.servers.map(server => {
      const value = median(server, name);
      return make('td', {}, value === undefined ? '' : shortNumber(value));
    }),
    ...one.ratios.map(ratio => {
      const spread = ratio.figures[name];
      return make('td', {}, spread ? spreadText(spread) : '');
    })));
  return make('details', {}, make('summary', {}, 'All figures: medians, and ratios of paired runs with their spread'),
    make('div', { class: 'scroll' }, make('table', {}, make('thead', {}, head), make('tbody', {}, ...rows))));
}

const settingsOf = one => Object.entries(one.settings).map(([key, value]) => `${key} ${value}`).join(', ');

// What is worth a bar: speed, what each thing costs, what a connection takes.
const isPlotted = name => /_per_s$|^server_cpu_ns_per_|^(calm|stalled)_latency_p99_ns$|^(resident|private_dirty)_bytes_per_connection(_kept_after_close)?$/.test(name);

function section(one) {
  const names = [...new Set(one.servers.flatMap(server => Object.keys(server.figures)))];
  const plots = names.filter(isPlotted).map(name => bars(one, name));
  const runs = one.servers.map(server => server.runs.length);
  return make('section', {},
    make('h2', {}, one.name || settingsOf(one).replace(/^case /, '')),
    make('p', { class: 'soft' }, one.name ? settingsOf(one) + '; ' : '', `runs: ${Math.min(...runs)} of each`),
    ...one.faults.map(fault => make('p', { class: 'wrong' }, fault)),
    make('div', { class: 'plots' }, ...[...plots, latencies(one.servers)].filter(Boolean)),
    ...one.servers.map(server => make('p', { class: 'soft' }, `${server.name}: ${server.server}`)),
    table(one));
}

// What a delivery, an echo or a call costs, in each pair of servers that was compared.
function pairsOf(cases) {
  const pairs = [];
  for (const one of cases) {
    for (const ratio of one.ratios) {
      const name = Object.keys(ratio.figures).find(key => /^server_cpu_ns_per_|^private_dirty_bytes_per_connection$/.test(key));
      if (!name) continue;
      const cost = median(one.servers.find(server => server.name === ratio.of), name);
      pairs.push({ title: one.name || settingsOf(one), name, cost, ratio, spread: ratio.figures[name], bound: ratio.at_most?.[name] });
    }
  }
  return pairs;
}

// A row for each pair: the median as a dot, the spread as a line, the bound as a mark.
function ratios(pairs) {
  const width = 820, row = 22, left = 320, right = 14, above = 22, height = above + pairs.length * row + 6;
  const most = Math.max(1.1, ...pairs.map(({ spread, bound }) => Math.max(bound ?? 0, Math.min(spread.highest, 1.5 * spread.median)))) * 1.02;
  const x = value => left + Math.min(value, most) / most * (width - left - right);
  const image = draw('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img' }, draw('title', {}, 'Cost, in proportion'));
  const step = most > 3 ? 1 : most > 1.6 ? 0.5 : 0.25;
  for (let value = 0; value <= most; value += step) {
    image.append(
      draw('line', { class: value === 1 ? 'grid strong' : 'grid', x1: x(value), x2: x(value), y1: above, y2: height }),
      draw('text', { class: 'soft', x: x(value), y: 13, 'text-anchor': 'middle' }, String(value)));
  }
  pairs.forEach(({ title, ratio, spread, bound }, i) => {
    const y = above + i * row + row / 2 + 3;
    const color = colorOf(ratio.to);
    image.append(
      draw('text', { x: left - 14, y: y + 4, 'text-anchor': 'end' }, title),
      draw('line', { x1: x(spread.lowest), x2: x(spread.highest), y1: y, y2: y, stroke: color, 'stroke-width': 2 }),
      draw('circle', { cx: x(spread.median), cy: y, r: 5, fill: color },
        draw('title', {}, `${title}, ${ratio.of} / ${ratio.to}: ${spreadText(spread)}`)));
    if (bound === undefined) return;
    image.append(draw('path', { d: `M${x(bound)} ${y - 8}v16`, stroke: 'var(--text)', 'stroke-width': 2 },
      draw('title', {}, `at most ${bound}`)));
  });
  const figure = plot('Cost in proportion to another server: median, spread, and bound (upright mark)', image, true);
  figure.append(legend([...new Set(pairs.map(pair => pair.ratio.to))].map(name => ({ name }))));
  return figure;
}

function overview(cases) {
  const pairs = pairsOf(cases);
  if (pairs.length === 0) return '';
  const rows = pairs.map(({ title, name, cost, ratio, spread, bound }) =>
    make('tr', {}, make('td', {}, title), make('td', {}, titleOf(name)), make('td', {}, amount(name, cost)),
      make('td', {}, `${ratio.of} / ${ratio.to}`), make('td', {}, spreadText(spread)), make('td', {}, bound ?? '')));
  const head = ['', 'what', 'costs', 'ratio', 'median of pairs (spread)', 'at most'].map(text => make('th', {}, text));
  return make('section', {}, make('h2', {}, 'Compared'), make('div', { class: 'plots' }, ratios(pairs)),
    make('div', { class: 'scroll' }, make('table', {}, make('thead', {}, make('tr', {}, ...head)), make('tbody', {}, ...rows))));
}

function circumstancesOf(documents) {
  return documents.map(({ date, machine, wsbench, command_line: line }) =>
    make('span', { class: 'soft' }, `${date}, ${machine.cpu}, ${machine.cpus} CPUs, ${machine.kernel}, wsbench ${wsbench}: ${line.join(' ')}`,
      make('br')));
}

const documents = JSON.parse(document.getElementById('documents').textContent);
const cases = casesOf(documents);
document.getElementById('circumstances').append(...circumstancesOf(documents));
document.getElementById('cases').replaceChildren(overview(cases), ...cases.map(section));
