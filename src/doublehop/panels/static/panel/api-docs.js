// The API's document as a page to read and to try. Reading works with the session; whoever wants to write gives a token.
"use strict";

window.addEventListener("load", () => {
  window.SwaggerUIBundle({
    url: document.getElementById("swagger-ui").dataset.url,
    dom_id: "#swagger-ui",
    deepLinking: true,
    docExpansion: "none",
    defaultModelsExpandDepth: 0,
    validatorUrl: null,
    persistAuthorization: false,
  });
});
