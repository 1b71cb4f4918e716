<?php

/** SIMULATOR. `php cron.php 2026-12-24`: what was done, as JSON. */

require __DIR__ . '/boot.php';

echo json_encode((new StandIn\Cron(StandIn\Host::get()))->run($argv[1])), "\n";
