<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { font: 15px/1.45 "Liberation Sans", Arial, sans-serif; margin: 24px auto; max-width: 980px; padding: 0 12px; color: #222; }
h1 { font-size: 22px; } h2, h4 { font-size: 17px; margin: 18px 0 6px; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: 5px 12px 5px 0; vertical-align: top; } th { font-weight: normal; color: #555; }
.table td, .table th { border-bottom: 1px solid #e3e3e3; }
.simulator { background: #fff6d8; color: #5c4a00; border-left: 4px solid #e0b400; padding: 6px 10px; }
.infobox, .errorbox { border: 1px solid #9cc4e4; background: #f0f7fc; padding: 8px 10px; margin: 6px 0; } .errorbox { border-color: #e0a2a2; background: #fdf3f3; }
.panel { border: 1px solid #ddd; border-radius: 4px; padding: 4px 14px; }
input, select, textarea, button, .btn { font: inherit; max-width: 100%; box-sizing: border-box; } button, summary.btn { padding: 5px 12px; border: 1px solid #b5b5b5; border-radius: 4px; background: #f4f4f4; cursor: pointer; display: inline-block; margin: 2px 0; }
details { margin: 4px 0; } details[open] { border: 1px solid #ddd; border-radius: 4px; padding: 6px 10px; }
</style>
