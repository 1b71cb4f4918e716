<?php

/** Read on every page of WHMCS: nothing is loaded and nothing is asked before one of these happens. */

if (!defined('WHMCS')) {
    die('This file cannot be accessed directly');
}

// After Save Changes, and after WHMCS stored what stood in its own fields: hostname and username are filled in once more.
add_hook('ServiceEdit', 1, static function (array $vars) {
    require_once __DIR__ . '/lib/load.php';
    \WHMCS\Module\Server\Doublehop\Attaching::refill((int) ($vars['serviceid'] ?? 0));
});

// A service that is deleted holds no server any more. At the cron is asked again what the panel did not take at that moment, and
// looked for what was deleted with its client or order.
add_hook('ServiceDelete', 1, static function (array $vars) {
    require_once __DIR__ . '/lib/load.php';
    $store = new \WHMCS\Module\Server\Doublehop\Store();
    (new \WHMCS\Module\Server\Doublehop\Leaving($store))->deleted((int) ($vars['serviceid'] ?? 0));
});
add_hook('AfterCronJob', 1, static function () {
    require_once __DIR__ . '/lib/load.php';
    (new \WHMCS\Module\Server\Doublehop\Leaving(new \WHMCS\Module\Server\Doublehop\Store()))->again();
});
