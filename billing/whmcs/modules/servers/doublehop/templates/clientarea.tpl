<div class="panel panel-default card">
  <div class="panel-body card-body">
    {if $message}
      <p>{$message|escape:'html':'UTF-8'}</p>
    {else}
      {if $asOf}<p class="text-muted"><small>As of {$asOf|escape:'html':'UTF-8'}: there is nothing newer at the moment.</small></p>{/if}
      <table class="table">
        <tbody>
          <tr><th scope="row">State</th><td>{$state|escape:'html':'UTF-8'}{if $why}: {$why|escape:'html':'UTF-8'}{/if}</td></tr>
          {if $power}<tr><th scope="row">Power</th><td>{$power|escape:'html':'UTF-8'}{if $powerAt} <small>as of {$powerAt|escape:'html':'UTF-8'}</small>{/if}</td></tr>{/if}
          {if $hostname}<tr><th scope="row">Hostname</th><td>{$hostname|escape:'html':'UTF-8'}</td></tr>{/if}
          <tr><th scope="row">Username</th><td>{if $serverUsername}{$serverUsername|escape:'html':'UTF-8'}{else}not known{/if}</td></tr>
          {if $addresses}<tr><th scope="row">Addresses</th><td>{foreach $addresses as $one}{$one.address|escape:'html':'UTF-8'}<br>{/foreach}</td></tr>{/if}
          {if $open}<tr><th scope="row">Under way</th><td>{$open|escape:'html':'UTF-8'}</td></tr>{/if}
        </tbody>
      </table>
      {foreach $buttons as $button}
        <details class="mb-2">
          <summary class="btn btn-default btn-secondary">{$button.label|escape:'html':'UTF-8'}…</summary>
          <form method="post" action="clientarea.php?action=productdetails&amp;id={$serviceNumber|escape:'html':'UTF-8'}">
            {if isset($token)}<input type="hidden" name="token" value="{$token|escape:'html':'UTF-8'}">{/if}
            <input type="hidden" name="id" value="{$serviceNumber|escape:'html':'UTF-8'}">
            <input type="hidden" name="modop" value="custom">
            <input type="hidden" name="a" value="{$button.function|escape:'html':'UTF-8'}">
            <p>{$button.meaning|escape:'html':'UTF-8'}</p>
            <label><input type="checkbox" name="confirmed" value="yes" required> Yes, for {if $hostname}{$hostname|escape:'html':'UTF-8'}{else}this server{/if}</label>
            <button type="submit" class="btn btn-primary">{$button.label|escape:'html':'UTF-8'}</button>
          </form>
        </details>
      {/foreach}
      <h4>Bandwidth</h4>
      {if $days}
        <svg viewBox="0 0 {$chart.width|escape:'html':'UTF-8'} {$chart.height|escape:'html':'UTF-8'}" width="100%" role="img" aria-label="Bandwidth by day, in and out. The table has the figures.">
          {foreach $chart.bars as $bar}<rect x="{$bar.x|escape:'html':'UTF-8'}" y="{$bar.y|escape:'html':'UTF-8'}" width="{$bar.width|escape:'html':'UTF-8'}" height="{$bar.height|escape:'html':'UTF-8'}" fill="{if $bar.kind == 'in'}#2f6fb0{elseif $bar.kind == 'out'}#d98324{else}#bbbbbb{/if}"><title>{$bar.told|escape:'html':'UTF-8'}</title></rect>{/foreach}
        </svg>
        <p><small><span aria-hidden="true" style="color:#2f6fb0">■</span> in, <span aria-hidden="true" style="color:#d98324">■</span> out, seen from the server. The highest bar is {$chart.top|escape:'html':'UTF-8'}. 1 GB is 1,000,000,000 bytes.</small></p>
        <table class="table table-striped">
          <thead><tr><th>Day (UTC)</th><th>In</th><th>Out</th><th></th></tr></thead>
          <tbody>
            {foreach $days as $day}
              <tr><td style="white-space:nowrap">{$day.date|escape:'html':'UTF-8'}</td><td>{$day.in|escape:'html':'UTF-8'}</td><td>{$day.out|escape:'html':'UTF-8'}</td><td>{$day.note|escape:'html':'UTF-8'}</td></tr>
            {/foreach}
          </tbody>
          <tfoot><tr><th>Together</th><th>{$totalIn|escape:'html':'UTF-8'}</th><th>{$totalOut|escape:'html':'UTF-8'}</th><th></th></tr></tfoot>
        </table>
        <p><small>{if $p95}95th percentile {$p95|escape:'html':'UTF-8'}. {/if}{if $sample}Some of these figures are samples, made up, and never billed. {/if}{if $share}Of what is included in this period, {$share|escape:'html':'UTF-8'} is used.{/if}</small></p>
      {else}
        <p>Nothing was measured yet.</p>
      {/if}
    {/if}
  </div>
</div>
