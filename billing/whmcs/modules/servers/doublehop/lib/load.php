<?php

if (!defined('WHMCS')) {
    die('This file cannot be accessed directly');
}

foreach (['Problem', 'Deadline', 'Masking', 'Received', 'Http', 'Rest', 'Signature'] as $doublehopPart) {
    require_once __DIR__ . "/client/$doublehopPart.php";
}
// What is not here is found by WHMCS itself, by its name: Metrics needs interfaces that older versions have not.
spl_autoload_register(static function (string $class): void {
    $prefix = 'WHMCS\\Module\\Server\\Doublehop\\';
    $file = __DIR__ . '/' . substr($class, strlen($prefix)) . '.php';
    if (strpos($class, $prefix) === 0 && preg_match('/^[A-Za-z]+$/', substr($class, strlen($prefix))) === 1) {
        if (is_file($file)) {
            require_once $file;
        }
    }
});
unset($doublehopPart);
