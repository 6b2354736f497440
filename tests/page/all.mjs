// Every check of the page, in one browser on one server: `node tests/page/all.mjs`. Each file also runs alone. The order
// matters at the end: hostile names stay in the lake, and a restart ends the shop's connections.
import './boards.mjs';
import './time.mjs';
import './states.mjs';
import './logs.mjs';
import './traces.mjs';
import './explore.mjs';
import './pipelines.mjs';
import './alerts.mjs';
import './keyboard.mjs';
import './looks.mjs';
import './hostile.mjs';
import './restart.mjs';
