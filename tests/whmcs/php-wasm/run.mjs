// node run.mjs 7.4|8.4 FILE.php FOLDER: runs the file in that PHP, with FOLDER as its argument. Both are copied in; there is no network.
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { PHP, loadPHPRuntime } from '@php-wasm/universal';

const [version, script, folder] = process.argv.slice(2);
const build = await import(`@php-wasm/node-${version.replace('.', '-')}`);
const php = new PHP(await loadPHPRuntime(await build.getPHPLoaderModule()));

function copied(from, to) {
  if (statSync(from).isDirectory()) {
    php.mkdirTree(to);
    readdirSync(from).forEach((name) => copied(join(from, name), `${to}/${name}`));
  } else {
    php.writeFile(to, readFileSync(from));
  }
}
copied(folder, '/modules');
copied(script, '/script.php');
const code = `<?php
ini_set('display_errors', 'stderr');
$argv = ['/script.php', '/modules'];
require '/script.php';`;
const answer = await php.run({ code });
process.stdout.write(answer.text);
process.stderr.write(answer.errors);
process.exit(answer.exitCode);
