<?php

/**
 * Dedicated servers under your own name: orders, suspends, unsuspends and ends services, attaches servers, and shows staff
 * and clients what is so. What is done is done by the panel that the server record names; this module only asks for it.
 *
 * PHP 7.4 to 8.4, no Composer. README.md in the archive says how it is set up.
 */

if (!defined('WHMCS')) {
    die('This file cannot be accessed directly');
}

require_once __DIR__ . '/lib/load.php';

use WHMCS\Module\Server\Doublehop\Accounts;
use WHMCS\Module\Server\Doublehop\Attaching;
use WHMCS\Module\Server\Doublehop\Checkup;
use WHMCS\Module\Server\Doublehop\ClientPage;
use WHMCS\Module\Server\Doublehop\Commands;
use WHMCS\Module\Server\Doublehop\Guarded;
use WHMCS\Module\Server\Doublehop\Metrics;
use WHMCS\Module\Server\Doublehop\Settings;
use WHMCS\Module\Server\Doublehop\SignOn;
use WHMCS\Module\Server\Doublehop\Tab;
use WHMCS\Module\Server\Doublehop\Usage;

function doublehop_MetaData()
{
    return [
        'DisplayName' => 'Doublehop Dedicated Servers',
        'APIVersion' => '1.1',
        'RequiresServer' => true,
        'DefaultNonSSLPort' => '80',
        'DefaultSSLPort' => '443',
        'ServiceSingleSignOnLabel' => 'Open the server panel',
        'AdminSingleSignOnLabel' => 'Open the panel',
        'ListAccountsUniqueIdentifierDisplayName' => 'Service number',
        'ListAccountsUniqueIdentifierField' => 'customfield.' . Settings::NUMBER_FIELD,
        'ListAccountsProductField' => 'configoption1',
    ];
}

/** Read back by position: only ever append. */
function doublehop_ConfigOptions()
{
    return Settings::options();
}

/** Fills the menu of products. Raises where it cannot: WHMCS shows the text. */
function doublehop_LoadProducts(array $params)
{
    return (new Checkup($params))->products();
}

function doublehop_TestConnection(array $params)
{
    return (new Checkup($params))->connection();
}

function doublehop_CreateAccount(array $params)
{
    return Guarded::command($params, 'create');
}

function doublehop_SuspendAccount(array $params)
{
    return Guarded::command($params, 'suspend');
}

function doublehop_UnsuspendAccount(array $params)
{
    return Guarded::command($params, 'unsuspend');
}

function doublehop_TerminateAccount(array $params)
{
    return Guarded::command($params, 'terminate');
}

function doublehop_ChangePackage(array $params)
{
    return Guarded::command($params, 'changePackage');
}

/** A renewal changes nothing at the machine. */
function doublehop_Renew(array $params)
{
    return 'success';
}

function doublehop_AdminCustomButtonArray()
{
    return [
        'Reboot' => 'Reboot',
        'Power on' => 'PowerOn',
        'Power off' => 'PowerOff',
        'Get Server IP' => 'GetServerIP',
        'Refresh' => 'Refresh',
    ];
}

function doublehop_Reboot(array $params)
{
    return Guarded::command($params, 'reboot');
}

function doublehop_PowerOn(array $params)
{
    return Guarded::command($params, 'powerOn');
}

function doublehop_PowerOff(array $params)
{
    return Guarded::command($params, 'powerOff');
}

function doublehop_GetServerIP(array $params)
{
    return Guarded::command($params, 'addresses');
}

function doublehop_Refresh(array $params)
{
    return Guarded::command($params, 'refresh');
}

/** No buttons of the theme's own: those act on a link. The page of the service has forms instead. */
function doublehop_ClientAreaAllowedFunctions()
{
    return array_keys(Commands::OF_CLIENTS);
}

function doublehop_ClientReboot(array $params)
{
    return Guarded::ofClient($params, 'ClientReboot');
}

function doublehop_ClientPowerOn(array $params)
{
    return Guarded::ofClient($params, 'ClientPowerOn');
}

function doublehop_ClientPowerOff(array $params)
{
    return Guarded::ofClient($params, 'ClientPowerOff');
}

function doublehop_ClientArea(array $params)
{
    return Guarded::page($params, static function () use ($params): array {
        return (new ClientPage($params))->shown();
    }, ClientPage::failed());
}

function doublehop_AdminServicesTabFields(array $params)
{
    return Guarded::page($params, static function () use ($params): array {
        return (new Tab($params))->fields();
    }, [Tab::LIST_LABEL => 'The module failed. The activity log says where.']);
}

function doublehop_AdminServicesTabFieldsSave(array $params)
{
    Guarded::page($params, static function () use ($params): array {
        (new Attaching($params))->saved($_REQUEST);
        return [];
    }, []);
}

function doublehop_ServiceSingleSignOn(array $params)
{
    return (new SignOn($params))->ofService();
}

function doublehop_AdminSingleSignOn(array $params)
{
    return (new SignOn($params))->ofStaff();
}

function doublehop_UsageUpdate(array $params)
{
    Guarded::page($params, static function () use ($params): array {
        (new Usage($params))->update();
        return [];
    }, []);
}

function doublehop_MetricProvider(array $params)
{
    return new Metrics($params);
}

function doublehop_ListAccounts(array $params)
{
    return (new Accounts($params))->listed();
}
