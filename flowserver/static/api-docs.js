// Opens Swagger UI on the API's own description. The key typed under "Authorize" stays in this page.
const docs = document.getElementById("docs");
window.SwaggerUIBundle({
  url: docs.dataset.document,
  domNode: docs,
  deepLinking: true,
  docExpansion: "list",
  displayOperationId: false,
  validatorUrl: null,
});
