// /docs: Swagger UI over our own /openapi.json.
'use strict';
window.ui = SwaggerUIBundle({url: 'openapi.json', dom_id: '#swagger-ui', deepLinking: true, validatorUrl: null});
