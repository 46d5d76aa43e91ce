thing "a" {
  colour = "red\u001b[2J\u001b[31mPlan: 0 to add"
  text   = "\u202egnp.exe <img src=x onerror=alert(1)> @everyone #1 | **bold** `code` </details> https://evil.example www.evil.example"
  labels = { "key\u0007\u200b" = "a\u2028b", "<!-- x -->" = "```" }
}

thing "b" {
  for_each = toset(["x | y", "`z`"])
}
