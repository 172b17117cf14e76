/* What a customer's own script does with the widget. */
(function () {
  const config = JSON.parse(document.getElementById("halo-config").textContent);
  const cart = [];
  let theme = "auto";

  const start = () =>
    HaloAgents.init({
      ...config,
      theme,
      // As a customer's server would: a token for whoever is signed in.
      getUserToken: async () => (await (await fetch("/demo/token")).json()).token,
      context: {
        orders: {
          label: "Orders",
          type: "list",
          value: [
            { name: "Order 1042", lamp: "Globe", status: "on its way, arrives Thursday" },
            { name: "Order 1017", lamp: "Desk", status: "delivered" },
          ],
        },
        elements: {
          label: "Elements of this page, for pointing at",
          type: "list",
          value: [
            { name: "Reset password", selector: "#reset-password" },
            { name: "Download invoice", selector: "#download-invoice" },
            { name: "Orders", selector: "#orders" },
            { name: "Cart", selector: "#cart" },
          ],
        },
      },
    });

  const show = () => {
    document.getElementById("cart-lines").textContent = cart.join(", ") || "Empty.";
    HaloAgents.getInstance().setContext("cart", { label: "Cart", type: "list", value: cart.slice() });
  };
  start();
  for (const button of document.querySelectorAll(".lamps button")) {
    button.addEventListener("click", () => {
      cart.push(button.parentElement.querySelector("h2").textContent);
      show();
    });
  }
  document.getElementById("try-ask").addEventListener("click", () => {
    HaloAgents.getInstance().openChat();
    HaloAgents.getInstance().sendMessage("How do I put the chat on my website?");
  });
  document.getElementById("try-point").addEventListener("click", () => {
    HaloAgents.getInstance().highlightElement("#reset-password", { label: "A click here sends a link by e-mail." });
  });
  document.getElementById("try-dark").addEventListener("click", () => {
    theme = theme === "dark" ? "light" : "dark";
    HaloAgents.getInstance().destroy();
    start();
    show();
    HaloAgents.getInstance().openChat();
  });
})();
