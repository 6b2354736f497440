// Traces: the list, and one of them at /traces/{id}.
import '../shared/pages.css';
import '../logs/logs.css';
import './list.css';
import './waterfall.css';
import './details.css';
import { path } from '../../router';
import { TraceList } from './TraceList';
import { TracePage } from './TracePage';

export default function Traces() {
  const encoded = /^\/traces\/([^/]+)$/.exec(path.value)?.[1];
  if (!encoded) return <TraceList />;
  return <TracePage key={encoded} id={decoded(encoded)} />;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
