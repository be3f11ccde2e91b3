// Starts node-websockify, which is a module and has no command of its own: relay.js SOURCE TARGET [CERT KEY]
"use strict";

const [source, target, cert, key] = process.argv.slice(2);
require("@maximegris/node-websockify")({ source, target, cert, key });
