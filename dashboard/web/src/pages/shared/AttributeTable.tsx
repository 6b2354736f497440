// A set of attributes as a table, each value with what can be done with it.
import { useState } from 'preact/hooks';
import type { Attribute } from './attributes';
import { CopyButton } from './CopyButton';
import { Icon, type IconName } from './icons';
import { LongText } from './Label';

export interface AttributeActions {
  /** `value` is null for a JSON null, which SQL cannot tell from an absent one. */
  readonly onFilter?: (key: string, operator: '=' | '!=', value: string | null) => void;
  readonly columns?: readonly string[];
  readonly onToggleColumn?: (key: string) => void;
}

interface Props extends AttributeActions {
  readonly caption: string;
  readonly attributes: readonly Attribute[];
}

/** More are shown on demand: a row of ten thousand attributes is somebody's mistake, not this page's. */
const FIRST = 100;

export function AttributeTable({ caption, attributes, ...actions }: Props) {
  const [all, setAll] = useState(false);
  if (attributes.length === 0) return null;
  const shown = all ? attributes : attributes.slice(0, FIRST);
  return (
    <>
      <table class="attributes">
        <caption>{caption}</caption>
        <tbody>
          {shown.map((attribute) => (
            <Row key={attribute.jsonKey} attribute={attribute} {...actions} />
          ))}
        </tbody>
      </table>
      {shown.length < attributes.length && (
        <button type="button" class="text-button" onClick={() => setAll(true)}>
          Show all {attributes.length} attributes
        </button>
      )}
    </>
  );
}

function Row({ attribute, onFilter, columns, onToggleColumn }: { readonly attribute: Attribute } & AttributeActions) {
  const { key, jsonKey, text, shown, kind } = attribute;
  const isColumn = columns?.includes(key) ?? false;
  return (
    <tr>
      <th scope="row">
        <LongText text={key} most={200} dotted />
      </th>
      <td class={`value ${kind}`}>
        <LongText text={shown} />
      </td>
      <td class="actions">
        {onFilter && (
          <>
            <Action
              label={`Only rows with this value of ${key.slice(0, 80)}`}
              icon="include"
              onClick={() => onFilter(jsonKey, text === null ? '!=' : '=', text)}
            />
            <Action
              label={`No rows with this value of ${key.slice(0, 80)}`}
              icon="exclude"
              onClick={() => onFilter(jsonKey, text === null ? '=' : '!=', text)}
            />
          </>
        )}
        {onToggleColumn && (
          <Action
            label={`${isColumn ? 'Remove the column' : 'Show as a column:'} ${key.slice(0, 80)}`}
            icon="column"
            pressed={isColumn}
            onClick={() => onToggleColumn(key)}
          />
        )}
        <CopyButton text={text ?? ''} what={key.slice(0, 80)} />
      </td>
    </tr>
  );
}

function Action(props: {
  readonly label: string;
  readonly icon: IconName;
  readonly pressed?: boolean;
  readonly onClick: () => void;
}) {
  return (
    <button
      type="button"
      class="mini"
      title={props.label}
      aria-label={props.label}
      aria-pressed={props.pressed}
      onClick={props.onClick}
    >
      <Icon name={props.icon} />
    </button>
  );
}
