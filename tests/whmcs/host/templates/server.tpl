<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Server</title>{include file='./look.tpl'}</head><body>
<p class="simulator">Stand-in host: a simulator made from public documentation, not WHMCS</p>
<h1>System Settings: Servers: {$server.name|escape}</h1>
{if $tested}<div class="{if $tested.success}infobox{else}errorbox{/if}">{if $tested.success}Connection successful{else}Connection failed: {$tested.error|escape}{/if}</div>{/if}
<table>
<tr><th>Module</th><td>{$server.type|escape}</td></tr>
<tr><th>Hostname</th><td>{$server.hostname|escape}</td></tr>
<tr><th>Username</th><td>{$server.username|escape}</td></tr>
<tr><th>Password</th><td>••••••••</td></tr>
<tr><th>Secure</th><td>{if $server.secure}yes{else}no (loopback only){/if}</td></tr>
<tr><th>Port</th><td>{$server.port|escape}</td></tr>
</table>
<form method="post" action="/admin/server?id={$server.id}"><button>Test Connection</button></form>
</body></html>
