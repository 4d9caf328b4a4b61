const data = @@data@@;
for (const box of section.querySelectorAll('.saliency')) {
  const shown = data[Number(box.dataset.place)];
  const output = box.querySelector('.output');
  const method = box.querySelector('.method');
  const told = box.querySelector('output');
  const text = box.querySelector('.steps');
  const steps = [...text.querySelectorAll('span')];
  let at = -1;

  function paint() {
    const found = shown[Number(output.value)];
    for (const option of method.options) option.disabled = !(option.value in found);
    if (method.selectedOptions[0].disabled) method.value = 'gradient x input';
    const values = found[method.value];
    const largest = Math.max(...values.map((value) => Math.abs(value ?? 0))) || 1;
    steps.forEach((step, place) => {
      const value = place < values.length ? values[place] : 0; // the last that was written is not read
      const colour = value < 0 ? '--negative' : '--positive';
      const strength = (0.65 * Math.abs(value)) / largest;
      step.style.backgroundColor = value === null ? '' : `rgba(var(${colour}), ${strength.toFixed(3)})`;
      step.title = `${step.dataset.name}: ${value === null ? 'no finite number' : value.toPrecision(3)}`;
      step.classList.toggle('no-number', value === null);
      step.classList.toggle('asked', step.dataset.output === output.value);
    });
    told.textContent = '';
  }

  function goTo(place) {
    if (at >= 0) steps[at].classList.remove('at');
    at = Math.max(0, Math.min(steps.length - 1, place));
    steps[at].classList.add('at');
    told.textContent = steps[at].title;
  }

  function choose(place) {
    if (steps[place].dataset.output !== undefined) output.value = steps[place].dataset.output;
    paint();
    goTo(place);
  }

  output.addEventListener('change', paint);
  method.addEventListener('change', paint);
  steps.forEach((step, place) => step.addEventListener('click', () => choose(place)));
  text.addEventListener('keydown', (event) => {
    const aim = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: steps.length - 1 }[event.key];
    if (!steps.length || (aim === undefined && (event.key !== 'Enter' || at < 0))) return;
    event.preventDefault();
    if (aim === undefined) choose(at);
    else goTo(aim);
  });
  paint();
}
