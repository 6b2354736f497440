import { describe, expect, it } from 'vitest';
import { and, attribute, contains, identifier, integer, literal, timestamp } from './sql';

describe('literals and identifiers', () => {
  it('double their own quote and nothing else', () => {
    expect(literal("O'Brien")).toBe("'O''Brien'");
    expect(literal("'; DROP TABLE logs; --")).toBe("'''; DROP TABLE logs; --'");
    expect(literal("\\'")).toBe("'\\'''");
    expect(identifier('a"b')).toBe('"a""b"');
    expect(identifier("a'b")).toBe('"a\'b"');
  });

  it('leave placeholders, comments and markup as they are: inside quotes they are text', () => {
    expect(literal('$range /* x */ <img onerror=alert(1)>')).toBe("'$range /* x */ <img onerror=alert(1)>'");
  });

  it('replace halves of surrogate pairs, keep pairs', () => {
    expect(literal('a\ud800b')).toBe("'a\ufffdb'");
    expect(literal('😀')).toBe("'😀'");
    expect(identifier('\udfff')).toBe('"\ufffd"');
  });
});

describe('helpers', () => {
  it('write numbers and times', () => {
    expect(integer(500)).toBe('500');
    expect(() => integer(1.5)).toThrow(RangeError);
    expect(() => integer(Number.NaN)).toThrow(RangeError);
    expect(timestamp(0)).toBe("TIMESTAMP '1970-01-01T00:00:00.000Z'");
  });

  it('join conditions', () => {
    expect(and('a', null, 'b', undefined, false, '')).toBe('a AND b');
    expect(and()).toBe('true');
  });

  it('search substrings without wildcards', () => {
    expect(contains('body', "50%_O'K")).toBe("contains(lower(body), '50%_o''k')");
  });

  it('use promoted columns, and nothing of the prototype', () => {
    expect(attribute('service.name')).toBe('service_name');
    expect(attribute('constructor')).toContain("json_as_text(attributes, 'constructor')");
    expect(attribute("a'b")).toBe(
      "coalesce(json_as_text(attributes, 'a''b'), json_as_text(resource_attributes, 'a''b'))",
    );
  });
});
