<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Product details</title>{include file='./look.tpl'}</head><body>
<p class="simulator">Stand-in host: a simulator made from public documentation, not WHMCS</p>
<h1>{$product|escape}</h1>
{if $breadcrumb}<p>{foreach $breadcrumb as $address => $name}<a href="{$address|escape}">{$name|escape}</a> {/foreach}</p>{/if}
{* As the themes of WHMCS do: what is not *success* is a failure, and is printed as it came. *}
{if $message == 'success'}<div class="infobox" id="alertModuleCustomButtonSuccess">Action Completed Successfully!</div>
{elseif $message}<div class="errorbox" id="alertModuleCustomButtonFailed">Action Failed! {$message}</div>{/if}
<p>{$domain|escape} · {$dedicatedip|escape} · {$status|escape}</p>
{foreach $customfields as $one}<p>{$one.fieldname|escape}: {$one.value|escape}</p>{/foreach}
{if $signon}<p><a href="/clientarea.php?action=productdetails&amp;id={$serviceid}&amp;dosinglesignon=1">{$signon|escape}</a></p>{/if}
<div id="module">{$moduleoutput}</div>
</body></html>
