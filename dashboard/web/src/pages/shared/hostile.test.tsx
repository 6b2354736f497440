// What comes from outside is text wherever these pages show it.
import { render } from 'preact';
import { afterEach, describe, expect, it } from 'vitest';
import { AttributeTable } from './AttributeTable';
import { parseAttributes } from './attributes';
import { Label, LongText } from './Label';

const HOSTILE = [
  '<img src=x onerror=alert(1)>',
  '"><script>alert(1)</script>',
  '../../../etc/passwd',
  '\u202eright to left\u202c',
  'x'.repeat(10_240),
  '&lt;b&gt;',
  '\u0000\u001b[31m',
];

let place: HTMLElement;
const draw = (content: preact.ComponentChild) => {
  place = document.createElement('div');
  document.body.append(place);
  render(content, place);
  return place;
};
afterEach(() => {
  render(null, place);
  place.remove();
});

describe('hostile text', () => {
  it('makes no elements, in labels and long texts', () => {
    for (const text of HOSTILE) {
      for (const content of [<Label key="" text={text} />, <LongText key="" text={text} />]) {
        const drawn = draw(content);
        expect(drawn.querySelectorAll('img, script, b')).toHaveLength(0);
        expect(drawn.querySelector('bdi')).not.toBeNull();
        expect(drawn.textContent?.length).toBeLessThan(2200);
        render(null, place);
      }
    }
  });

  it('is shown whole on demand', () => {
    const drawn = draw(<LongText text={'x'.repeat(10_240)} />);
    expect(drawn.querySelector('bdi')?.textContent).toHaveLength(2001);
    const button = drawn.querySelector('button');
    expect(button?.textContent).toContain('Show all');
    button?.click();
    return Promise.resolve()
      .then(() => new Promise((done) => setTimeout(done)))
      .then(() => {
        expect(drawn.querySelector('bdi')?.textContent).toHaveLength(10_240);
      });
  });

  it('makes no elements as keys and values of attributes, and filters by what SQL has', () => {
    const asked: unknown[] = [];
    for (const text of HOSTILE) {
      const attributes = parseAttributes(JSON.stringify({ [text]: text, n: 1 }));
      const drawn = draw(
        <AttributeTable caption="Attributes" attributes={attributes} onFilter={(...filter) => asked.push(filter)} />,
      );
      expect(drawn.querySelectorAll('img, script, b')).toHaveLength(0);
      drawn.querySelector<HTMLButtonElement>('button[aria-label^="Only rows"]')?.click();
      render(null, place);
    }
    expect(asked).toEqual(HOSTILE.map((text) => [text, '=', text]));
  });
});
