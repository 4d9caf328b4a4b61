const data = @@data@@;
for (const box of section.querySelectorAll('.saliency')) {
  const shown = data[Number(box.dataset.place)];
  const output = box.querySelector('.output');
  const method = box.querySelector('.method');
  const told = box.querySelector('output');
  const steps = [...box.querySelectorAll('.steps span')];

  function paint() {
    const found = shown[Number(output.value)];
    for (const option of method.options) option.disabled = !(option.value in found);
    if (method.selectedOptions[0].disabled) method.value = 'gradient x input';
    const values = found[method.value];
    const largest = Math.max(...values.map((value) => Math.abs(value ?? 0))) || 1;
    steps.forEach((step, place) => {
      const value = values[place] ?? 0;
      const colour = value < 0 ? '--negative' : '--positive';
      step.style.backgroundColor = `rgba(var(${colour}), ${((0.65 * Math.abs(value)) / largest).toFixed(3)})`;
      step.title = `${step.dataset.name}: ${value.toPrecision(3)}`;
      step.classList.toggle('asked', step.dataset.output === output.value);
    });
    told.textContent = '';
  }

  output.addEventListener('change', paint);
  method.addEventListener('change', paint);
  for (const step of steps) {
    step.addEventListener('click', () => {
      if (step.dataset.output !== undefined) output.value = step.dataset.output;
      paint();
      told.textContent = step.title;
    });
  }
  paint();
}
