<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Module Settings</title>{include file='./look.tpl'}</head><body>
<p class="simulator">Stand-in host: a simulator made from public documentation, not WHMCS</p>
<h1>{$product.name|escape}: Module Settings</h1>
<table>
<tr><th>Module Name</th><td>{$product.servertype|escape}</td></tr>
<tr><th>Server Group</th><td>{if $product.servergroup}{$product.servergroup}{else}None{/if}</td></tr>
{foreach $fields as $number => $field}<tr><th>{$field.FriendlyName|escape}</th><td>
{if $field.Type == 'dropdown'}<select name="packageconfigoption[{$number}]">{foreach $field.Options as $value => $label}<option value="{$value|escape}"{if $value == $field.value} selected{/if}>{$label|escape}</option>{/foreach}</select>
{elseif $field.Type == 'yesno'}<input type="checkbox"{if $field.value == 'on'} checked{/if}>
{else}<input type="{$field.Type|escape}" size="{$field.Size|escape}" value="{$field.value|escape}">{/if}
 {$field.Description|escape}{if $field.error}<div class="errorbox">{$field.error|escape}</div>{/if}</td></tr>{/foreach}
</table>
</body></html>
