// One session of node's `diameter`: capabilities, initial, update, termination, good-bye. Prints a line for each answer.
// node session.js PORT ORIGIN-HOST
'use strict';
const diameter = require('diameter');
const [port, host] = [Number(process.argv[2]), process.argv[3]];
const realm = 'example.net';
const session = host + ';' + Date.now() + ';1';

function say(name, body) {
    const of = field => (body.find(avp => avp[0] === field) || [])[1];
    const slices = body.filter(avp => avp[0] === 'Multiple-Services-Credit-Control').map(avp => avp[1]);
    console.log(JSON.stringify({name, result: of('Result-Code'), session: of('Session-Id'), slices}, (key, value) =>
        value && value.constructor && value.constructor.name === 'Long' ? value.toString() : value));
}

const socket = diameter.createConnection({host: '127.0.0.1', port, timeout: 10000}, async () => {
    const connection = socket.diameterConnection;
    const ask = async (application, command, body, proxiable) => {
        const request = connection.createRequest(application, command, session);
        request.header.flags.proxiable = proxiable;
        request.body = body;
        const answer = await connection.sendRequest(request);
        say(command, answer.body);
    };
    const origin = [['Origin-Host', host], ['Origin-Realm', realm]];
    const charge = (type, number, more) => ask('Diameter Credit Control Application', 'Credit-Control', [
        ['Session-Id', session], ...origin, ['Destination-Realm', realm],
        ['Auth-Application-Id', 4], ['Service-Context-Id', '32251@3gpp.org'],
        ['CC-Request-Type', type], ['CC-Request-Number', number],
        ['Subscription-Id', [['Subscription-Id-Type', 0], ['Subscription-Id-Data', '34600000001']]],
        ...more], true);
    const used = ['Used-Service-Unit', [['CC-Total-Octets', 3000000]]];
    try {
        await ask('Diameter Common Messages', 'Capabilities-Exchange', [
            ...origin, ['Host-IP-Address', '127.0.0.1'], ['Vendor-Id', 0], ['Product-Name', 'node'],
            ['Auth-Application-Id', 4]], false);
        await charge(1, 0, [['Multiple-Services-Indicator', 1],
            ['Multiple-Services-Credit-Control', [['Requested-Service-Unit', []], ['Rating-Group', 10]]]]);
        await charge(2, 1, [
            ['Multiple-Services-Credit-Control', [['Requested-Service-Unit', []], used, ['Rating-Group', 10]]]]);
        await charge(3, 2, [['Multiple-Services-Credit-Control', [used, ['Rating-Group', 10]]],
            ['Termination-Cause', 1]]);
        await ask('Diameter Common Messages', 'Disconnect-Peer', [...origin, ['Disconnect-Cause', 0]], false);
        process.exit(0);
    } catch (wrong) {
        console.error(String(wrong));
        process.exit(1);
    }
});
socket.on('error', wrong => { console.error(String(wrong)); process.exit(1); });
