'use strict';
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const main = document.getElementById('main');
  const shownRuns = new Set(data.runs.map((_, index) => index));
  const charts = [];

  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };

  const colourOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const short = (value) => {
    const size = Math.abs(value);
    if (size >= 1e6) return +(value / 1e6).toPrecision(4) + ' M';
    if (size >= 1e4) return +(value / 1e3).toPrecision(4) + ' k';
    return String(+value.toPrecision(4));
  };

  const isPowerOfTen = (value) => Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9;

  // The axis counts 1 / (1 - share).
  const percentileText = (value) => {
    if (value <= 1) return '0 %';
    const decimals = Math.max(0, Math.ceil(Math.log10(value)) - 1);
    return +(100 - 100 / value).toFixed(decimals) + ' %';
  };

  const axis = (description) => {
    const linear = description.scale === 'linear';
    const words = description.scale === 'percentile' ? percentileText : short;
    return {
      type: linear ? 'linear' : 'logarithmic',
      beginAtZero: linear,
      title: { display: description.label !== '', text: description.label },
      ticks: { callback: (value) => (linear || isPowerOfTen(value) ? words(value) : null), maxRotation: 40 },
      grid: {},
    };
  };

  const dataset = (series, kind) => ({
    label: series.name,
    run: series.run,
    data: kind === 'lines' ? series.points.map(([x, y]) => ({ x, y })) : series.bars,
    borderColor: series.colour,
    backgroundColor: kind !== 'lines' && series.dashed ? series.colour + '80' : series.colour,
    borderWidth: kind === 'lines' ? 2 : 0,
    borderDash: kind === 'lines' && series.dashed ? [6, 4] : [],
    pointRadius: kind === 'lines' && series.points.length < 30 ? 3 : 0,
    tension: 0,
    stack: kind === 'stacked' ? 'one' : undefined,
  });

  const configuration = (chart) => {
    const lines = chart.kind === 'lines';
    const x = lines ? axis(chart.x)
      : { type: 'category', stacked: chart.kind === 'stacked', ticks: { maxRotation: 60, autoSkip: false }, grid: {} };
    const y = axis(chart.y);
    y.stacked = chart.kind === 'stacked';
    return {
      type: lines ? 'line' : 'bar',
      data: { labels: lines ? undefined : chart.categories, datasets: chart.series.map((s) => dataset(s, chart.kind)) },
      options: {
        animation: false,
        maintainAspectRatio: false,
        interaction: { mode: lines ? 'nearest' : 'index', intersect: false },
        scales: { x, y },
        plugins: {
          legend: { position: 'bottom' },
          tooltip: { callbacks: { title: (items) => {
            if (!lines) return items.map((item) => item.label)[0];
            const at = items[0].parsed.x;
            return chart.x.scale === 'percentile' ? percentileText(at) : short(at) + ' ' + chart.x.label;
          } } },
        },
      },
    };
  };

  const paint = () => {
    for (const chart of charts) {
      const { options } = chart;
      options.color = colourOf('--ink');
      options.plugins.legend.labels = {
        color: colourOf('--ink'),
        filter: (item, all) => shownRuns.has(all.datasets[item.datasetIndex].run),
      };
      for (const scale of Object.values(options.scales)) {
        scale.ticks.color = colourOf('--faint');
        scale.grid.color = colourOf('--rule');
        if (scale.title) scale.title.color = colourOf('--faint');
      }
      chart.data.datasets.forEach((one, index) => chart.setDatasetVisibility(index, shownRuns.has(one.run)));
      chart.update();
    }
    for (const row of document.querySelectorAll('tr[data-run]')) row.hidden = !shownRuns.has(Number(row.dataset.run));
  };

  const setTheme = (theme) => {
    document.documentElement.dataset.theme = theme;
    paint();
  };

  const addRuns = () => {
    data.runs.forEach((run, index) => {
      const box = make('input', { type: 'checkbox', checked: '', id: 'run-' + index });
      box.addEventListener('change', () => {
        if (box.checked) shownRuns.add(index); else shownRuns.delete(index);
        paint();
      });
      const verdict = run.kind === 'compare' ? ''
        : make('small', { class: run.valid ? 'valid' : 'invalid' },
          run.valid ? 'valid' : 'not valid: ' + run.reasons.join('; '));
      const files = run.files > 1 ? ', ' + run.files + ' files' : '';
      document.getElementById('runs').append(make('label', { class: 'run', for: 'run-' + index }, box,
        make('div', {}, make('strong', {}, run.name), ' (' + run.kind + files + ')', verdict,
          make('small', {}, run.started + ', ' + run.host), make('small', {}, run.command_line))));
    });
  };

  const addTable = (table) => {
    const head = make('tr', {}, ...table.head.map((text) => make('th', { scope: 'col' }, text)));
    const rows = table.rows.map((row) => make('tr', { 'data-run': row.run, class: row.state || '' },
      ...row.cells.map((text) => make('td', {}, text))));
    return make('div', { class: 'table' }, make('table', {}, make('thead', {}, head), make('tbody', {}, ...rows)));
  };

  const addSection = (part, content) => {
    main.append(make('section', { id: part.id }, make('h2', {}, part.title), make('p', { class: 'note' }, part.note),
      content));
  };

  const addTabs = (parts) => {
    const tabs = document.getElementById('tabs');
    const choose = (chosen) => {
      for (const button of tabs.children) button.setAttribute('aria-pressed', String(button.dataset.part === chosen));
      for (const section of main.children) section.hidden = chosen !== '' && section.id !== chosen;
      for (const chart of charts) chart.resize();
    };
    for (const part of [{ id: '', title: 'all' }, ...parts]) {
      const button = make('button', { type: 'button', 'data-part': part.id }, part.title);
      button.addEventListener('click', () => choose(part.id));
      tabs.append(button);
    }
    choose('');
  };

  addRuns();
  // Tables with many rows come after the charts.
  const isLate = (table) => table.id === 'comparison-table' || table.id === 'lanes';
  const early = data.tables.filter((table) => !isLate(table));
  const late = data.tables.filter(isLate);
  for (const table of early) addSection(table, addTable(table));
  for (const chart of data.charts) {
    const canvas = make('canvas', { role: 'img', 'aria-label': chart.title });
    addSection(chart, make('div', { class: 'picture' }, canvas));
    charts.push(new Chart(canvas, configuration(chart)));
  }
  for (const table of late) addSection(table, addTable(table));
  addTabs([...early, ...data.charts, ...late]);
  const dark = window.matchMedia('(prefers-color-scheme: dark)');
  document.getElementById('theme').addEventListener('click', () => {
    setTheme(document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark');
  });
  dark.addEventListener('change', () => setTheme(dark.matches ? 'dark' : 'light'));
  setTheme(dark.matches ? 'dark' : 'light');
  main.append(make('p', { class: 'note' }, 'Made by ktlsim ' + data.version + '. Charts: Chart.js.'));
})();
