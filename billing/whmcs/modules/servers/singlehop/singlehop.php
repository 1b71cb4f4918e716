<?php

/**
 * SingleHop: the old module, living again. It lists the servers that a Tandem user may use, attaches one to a service,
 * suspends, unsuspends and reboots it, lists its addresses, and shows the client its username and bandwidth.
 *
 * PHP 7.4 to 8.4, no Composer. README.md beside this file says how it is set up.
 */

if (!defined('WHMCS')) {
    die('This file cannot be accessed directly');
}

require_once __DIR__ . '/lib/load.php';

use WHMCS\Module\Server\Singlehop\Attaching;
use WHMCS\Module\Server\Singlehop\ClientPage;
use WHMCS\Module\Server\Singlehop\Commands;
use WHMCS\Module\Server\Singlehop\Guarded;
use WHMCS\Module\Server\Singlehop\Tab;

function singlehop_MetaData()
{
    return ['DisplayName' => 'Singlehop', 'APIVersion' => '1.1', 'RequiresServer' => false];
}

/** Read back by position: only ever append. */
function singlehop_ConfigOptions()
{
    return [
        'LEAP Username' => ['Type' => 'text', 'Size' => '30', 'Description' => 'LEAP > Accounts'],
        'LEAP Password' => ['Type' => 'password', 'Size' => '30', 'Description' => 'LEAP > Accounts'],
        'Tandem Username' => ['Type' => 'text', 'Size' => '30', 'Description' => 'The e-mail address of a Tandem user'],
        'Tandem Password' => ['Type' => 'password', 'Size' => '30', 'Description' => 'Of the same Tandem user'],
        'API Key' => ['Type' => 'password', 'Size' => '50', 'Description' => 'LEAP > Accounts'],
    ];
}

function singlehop_CreateAccount(array $params)
{
    return Guarded::command($params, static function (Commands $commands): string {
        return $commands->create();
    });
}

function singlehop_SuspendAccount(array $params)
{
    return Guarded::command($params, static function (Commands $commands): string {
        return $commands->suspend();
    });
}

function singlehop_UnsuspendAccount(array $params)
{
    return Guarded::command($params, static function (Commands $commands): string {
        return $commands->unsuspend();
    });
}

function singlehop_TerminateAccount(array $params)
{
    return Guarded::command($params, static function (Commands $commands): string {
        return $commands->terminate();
    });
}

function singlehop_AdminCustomButtonArray()
{
    return ['Reboot' => 'Reboot', 'Get Server IP' => 'GetServerIP'];
}

function singlehop_Reboot(array $params)
{
    return Guarded::command($params, static function (Commands $commands): string {
        return $commands->reboot();
    });
}

function singlehop_GetServerIP(array $params)
{
    return Guarded::command($params, static function (Commands $commands): string {
        return $commands->addresses();
    });
}

function singlehop_AdminServicesTabFields(array $params)
{
    return Guarded::page($params, static function () use ($params): array {
        return (new Tab($params))->fields();
    }, ['SingleHop Servers List' => 'The module failed. The activity log says where.']);
}

function singlehop_AdminServicesTabFieldsSave(array $params)
{
    Guarded::page($params, static function () use ($params): array {
        (new Attaching($params))->saved($_REQUEST);
        return [];
    }, []);
}

function singlehop_ClientArea(array $params)
{
    return Guarded::page($params, static function () use ($params): array {
        return (new ClientPage($params))->shown();
    }, ClientPage::failed());
}
