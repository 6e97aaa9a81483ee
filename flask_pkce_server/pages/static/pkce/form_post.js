// Sends the form of the form_post response mode; without scripts its button does.
document.getElementById("pkce-form-post").submit();
