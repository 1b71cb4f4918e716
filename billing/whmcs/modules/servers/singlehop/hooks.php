<?php

/** Read on every page of WHMCS: nothing is loaded and nothing is asked before one of these happens. */

if (!defined('WHMCS')) {
    die('This file cannot be accessed directly');
}

// After Save Changes, and after WHMCS stored what stood in its own fields: hostname and username are filled in once more.
add_hook('ServiceEdit', 1, static function (array $vars) {
    require_once __DIR__ . '/lib/load.php';
    \WHMCS\Module\Server\Singlehop\Attaching::refill((int) ($vars['serviceid'] ?? 0));
});

// A service that is deleted holds no server any more, nor does one that was deleted with its client or order.
add_hook('ServiceDelete', 1, static function (array $vars) {
    require_once __DIR__ . '/lib/load.php';
    \WHMCS\Module\Server\Singlehop\Attaching::forget((int) ($vars['serviceid'] ?? 0));
});
add_hook('AfterCronJob', 1, static function () {
    require_once __DIR__ . '/lib/load.php';
    \WHMCS\Module\Server\Singlehop\Attaching::forgetMissing();
});
