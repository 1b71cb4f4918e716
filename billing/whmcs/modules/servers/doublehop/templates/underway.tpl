<div class="panel panel-default card">
  <div class="panel-body card-body">
    <p>It was accepted and is under way. Look again in a moment (reference {$reference|escape:'html':'UTF-8'}).</p>
    <p><a class="btn btn-default btn-secondary" href="clientarea.php?action=productdetails&amp;id={$serviceNumber|escape:'html':'UTF-8'}">Back to the server</a></p>
  </div>
</div>
