<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Products/Services</title>{include file='./look.tpl'}</head><body>
<p class="simulator">Stand-in host: a simulator made from public documentation, not WHMCS</p>
<h1>Products/Services: {$service.product|escape}</h1>
{if $message}<div class="infobox">{$message|escape}</div>{/if}
<form method="post" action="/admin/service?id={$service.id}">
<table class="fields">
<tr><th>Status</th><td>{$service.domainstatus|escape}</td></tr>
<tr><th><label for="domain">Hostname</label></th><td><input id="domain" name="domain" value="{$service.domain|escape}"></td></tr>
<tr><th><label for="username">Username</label></th><td><input id="username" name="username" value="{$service.username|escape}"></td></tr>
<tr><th><label for="dedicatedip">Dedicated IP</label></th><td><input id="dedicatedip" name="dedicatedip" value="{$service.dedicatedip|escape}"></td></tr>
<tr><th><label for="assignedips">Assigned IPs</label></th><td><textarea id="assignedips" name="assignedips">{$service.assignedips|escape}</textarea></td></tr>
{foreach $customfields as $one}<tr><th><label for="customfield{$one.id}">{$one.fieldname|escape}</label></th><td><input id="customfield{$one.id}" name="customfield[{$one.id}]" value="{$one.value|escape}"></td></tr>
{/foreach}
{foreach $fields as $label => $html}<tr><th>{$label|escape}</th><td>{$html}</td></tr>{/foreach}
</table>
<button>Save Changes</button>
</form>
<h2>Module Commands</h2>
<form method="post" action="/admin/command?id={$service.id}">
{foreach $actions as $action}<button name="a" value="{$action}">{$action|replace:'Account':''}</button> {/foreach}
{foreach $buttons as $label => $suffix}<button name="a" value="{$suffix|escape}">{$label|escape}</button> {/foreach}
</form>
</body></html>
