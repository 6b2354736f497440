import 'uplot/dist/uPlot.min.css';
import './ui/tokens.css';
import './ui/ui.css';
import './ui/overlay.css';
import './shell/shell.css';
import './charts/charts.css';
import './boards/boards.css';
import { render } from 'preact';
import { App } from './app';
import { liveClient } from './live/live';
import { watchFiring } from './shell/firing';
import { listen } from './shell/shortcuts';
import { driveRefresh } from './time/refresh';

listen();
driveRefresh(liveClient());
watchFiring();
const root = document.getElementById('app');
if (root) render(<App />, root);
