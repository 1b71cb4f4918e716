<div class="panel panel-default card">
  <div class="panel-body card-body">
    {if $message}
      <p>{$message|escape:'html':'UTF-8'}</p>
    {else}
      <h4>Username</h4>
      <p>{if $username}{$username|escape:'html':'UTF-8'}{else}not known{/if}{if $asOf} <small>as of {$asOf|escape:'html':'UTF-8'}</small>{/if}</p>
      <h4>Bandwidth</h4>
      {if $days}
        <table class="table table-striped">
          <thead><tr><th>Day (UTC)</th><th>In</th><th>Out</th><th></th></tr></thead>
          <tbody>
            {foreach $days as $day}
              <tr><td>{$day.date|escape:'html':'UTF-8'}</td><td>{$day.in|escape:'html':'UTF-8'}</td><td>{$day.out|escape:'html':'UTF-8'}</td><td>{$day.note|escape:'html':'UTF-8'}</td></tr>
            {/foreach}
          </tbody>
          <tfoot><tr><th>Together</th><th>{$totalIn|escape:'html':'UTF-8'}</th><th>{$totalOut|escape:'html':'UTF-8'}</th><th></th></tr></tfoot>
        </table>
        <p><small>In and out are seen from the server. 1 GB is 1,000,000,000 bytes.{if $bandwidthAsOf} As of {$bandwidthAsOf|escape:'html':'UTF-8'}.{/if}</small></p>
      {else}
        <p>No full day has been measured yet.</p>
      {/if}
    {/if}
  </div>
</div>
